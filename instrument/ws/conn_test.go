package ws

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/answer"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

// memory is a connection that reads one slice of bytes and writes another.
type memory struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (m *memory) Read(p []byte) (int, error)  { return m.in.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.out.Write(p) }
func (m *memory) Close() error                { return nil }

// FuzzUnchanged sends an answer and whatever follows through a connection in pieces, and reads whatever comes, some of
// it before the answer: the same arrives at the other end.
func FuzzUnchanged(f *testing.F) {
	f.Add([]byte("\x81\x05hello\x88\x02\x03\xe8"), []byte("\x81\x85abcd12345\x88\x80abcd"), []byte{10, 200, 3}, 4)
	f.Add([]byte("\x81\x05hello"), []byte("\x81\x85abcd12345"), []byte{}, 0)
	f.Add([]byte("\x89\x00\x8a"), bytes.Repeat([]byte("early"), 1000), []byte{60, 1}, 5000)
	f.Fuzz(func(t *testing.T, sends, comes, cuts []byte, early int) {
		r := realtimetest.New(t)
		_, h := r.Observer.BeginHandshake(t.Context(), instrument.Request{})
		m := &memory{in: bytes.NewReader(comes)}
		x, _ := newExchange(t.Context(), httptest.NewRecorder(), r.Observer, h)
		c, rw := x.Hijacked(m, bufio.NewReadWriter(bufio.NewReader(m), bufio.NewWriter(m)))
		got := make([]byte, min(max(early, 0), len(comes)))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		all := append([]byte(switching), sends...)
		for _, cut := range append(cuts, 255) {
			rest := all[m.out.Len():]
			n := min(int(cut), len(rest))
			if cut == 255 {
				n = len(rest)
			}
			if wrote, err := c.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("Write: %v, %v", wrote, err)
			}
		}
		late, err := io.ReadAll(rw)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, late...); !bytes.Equal(got, comes) {
			t.Errorf("read % x, want % x", got, comes)
		}
		if !bytes.Equal(m.out.Bytes(), all) {
			t.Errorf("wrote %q, want %q", m.out.Bytes(), all)
		}
		_ = c.Close()
		x.returned()
		if open := r.Metrics()["websocket_active_connections{}"]; open != 0 {
			t.Errorf("%v connections are open", open)
		}
	})
}

// pipe returns a hijacked connection over TCP and its peer.
func pipe(t *testing.T, r *realtimetest.Recorder) (*exchange, net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	_, h := r.Observer.BeginHandshake(t.Context(), instrument.Request{})
	x, _ := newExchange(t.Context(), httptest.NewRecorder(), r.Observer, h)
	c, _ := x.Hijacked(accepted, bufio.NewReadWriter(bufio.NewReader(accepted), bufio.NewWriter(accepted)))
	return x, c, peer
}

// TestReadBeforeAnswer has a goroutine wait in Read while another answers the peer.
func TestReadBeforeAnswer(t *testing.T) {
	r := realtimetest.New(t)
	x, c, peer := pipe(t, r)
	var reader sync.WaitGroup
	reading := make(chan struct{})
	reader.Go(func() {
		close(reading)
		if p, err := io.ReadAll(c); len(p) != 6 || err != nil {
			t.Errorf("read %q, %v", p, err)
		}
		_ = c.Close()
	})
	<-reading
	if _, err := io.WriteString(c, switching); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(peer), nil); err != nil {
		t.Fatal(err)
	}
	x.returned()
	if _, err := peer.Write([]byte("\x82\x80abcd")); err != nil {
		t.Fatal(err)
	}
	if err := peer.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reader.Wait()
	r.Expect(map[string]float64{
		`websocket_messages_total{direction="receive",type="other"}`:            1,
		`websocket_disconnections_total{initiator="network",reason="abnormal"}`: 1,
	})
}

// TestConcurrent has many goroutines use one connection: it is counted once, and a deadline wakes up the reader.
func TestConcurrent(t *testing.T) {
	r := realtimetest.New(t)
	x, c, peer := pipe(t, r)
	if _, err := io.WriteString(c, switching); err != nil {
		t.Fatal(err)
	}
	var all, readers sync.WaitGroup
	woken := make(chan error, 1)
	readers.Go(func() {
		_, err := c.Read(make([]byte, 10))
		woken <- err
		_, _ = io.Copy(io.Discard, c)
	})
	readers.Go(func() { _, _ = io.Copy(io.Discard, peer) })
	for range 4 {
		all.Go(func() {
			for range 100 {
				_, _ = c.Write([]byte("\x82\x02hi\x89\x00"))
			}
		})
	}
	all.Go(func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	if err := <-woken; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the reader is woken by %v", err)
	}
	_ = c.SetDeadline(time.Time{})
	all.Wait()
	for range 3 {
		all.Go(func() { _ = c.Close() })
	}
	all.Go(x.returned)
	all.Wait()
	_ = peer.Close()
	readers.Wait()
	r.Expect(map[string]float64{
		`websocket_active_connections{}`:                                    0,
		`websocket_messages_total{direction="transmit",type="other"}`:       400,
		`websocket_disconnections_total{initiator="local",reason="normal"}`: 1,
	})
}

var _ answer.Witness = (*exchange)(nil)
