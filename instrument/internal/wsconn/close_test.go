package wsconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// observed returns a Conn on one end of a TCP connection, and the other end.
func observed(t *testing.T, r *realtimetest.Recorder) (*Conn, net.Conn) {
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
	c := New(accepted)
	c.Begin(Config{Observed: h.Opened(101), EndOnClose: true}, nil)
	return c, peer
}

// TestCloseWithinFrame closes a connection in the middle of a frame, twice: one close frame comes behind the frame, and
// nothing after it.
func TestCloseWithinFrame(t *testing.T) {
	c, peer := observed(t, realtimetest.New(t))
	if _, err := c.Write([]byte("\x82\x10once upon a ti")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 2)
	for range cap(closed) {
		go func() { closed <- c.SendClose(1001, "bye") }()
	}
	for due := false; !due; {
		c.writing.Lock()
		due = c.due != nil
		c.writing.Unlock()
	}
	if _, err := c.Write([]byte("me")); err != nil {
		t.Error(err)
	}
	for range cap(closed) {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Write([]byte{0x82, 0}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write behind the close frame: %v, want net.ErrClosed", err)
	}
	if err := c.CloseFor(instrument.ReasonPolicy, 1008, ""); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(peer)
	if want := []byte("\x82\x10once upon a time\x88\x05\x03\xe9bye"); !bytes.Equal(got, want) || err != nil {
		t.Errorf("the peer reads %q, %v, want %q", got, err, want)
	}
}

// TestCloseWhilePeerWrites closes a connection whose peer goes on to write for a while. It can, and reads the close
// frame. Its messages are discarded.
func TestCloseWhilePeerWrites(t *testing.T) {
	c, peer := observed(t, realtimetest.New(t))
	if err := c.CloseFor(instrument.ReasonShutdown, 1012, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil { // as a handler that returns does
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		n, err := c.Read(make([]byte, 100))
		if n > 0 {
			t.Errorf("%d bytes were read after the close", n)
		}
		read <- err
	}()
	for range 50 { // a reset would have arrived long before the last
		if _, err := peer.Write([]byte("\x81\x84mask\x05\x04\x1f\x07")); err != nil {
			t.Fatalf("the peer can't write: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	got, err := io.ReadAll(peer)
	if want := "\x88\x02\x03\xf4"; string(got) != want || err != nil {
		t.Errorf("the peer reads %q, %v, want %q", got, err, want)
	}
	_ = peer.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v, want net.ErrClosed", err)
	}
}

// TestCloseForSilentPeer closes a connection whose peer answers nothing and stays.
func TestCloseForSilentPeer(t *testing.T) {
	c, _ := observed(t, realtimetest.New(t))
	if err := c.CloseFor(instrument.ReasonShutdown, 1012, ""); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 100)); n > 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %d, %v, want net.ErrClosed", n, err)
	}
}

// full is a connection that takes no more than the given number of bytes.
type full struct {
	net.Conn
	room int
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return f.room, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

// TestCloseWithinFrameWithoutEnd closes connections in the middle of a frame that nobody ends.
func TestCloseWithinFrameWithoutEnd(t *testing.T) {
	for name, message := range map[string]string{"left": "\x82\x10once upon a ti", "failed": "\x82\x10once upon a time"} {
		t.Run(name, func(t *testing.T) {
			r := realtimetest.New(t)
			c, _ := observed(t, r)
			c.Conn = &full{c.Conn, 16}
			if _, err := c.Write([]byte(message)); (err != nil) != (name == "failed") {
				t.Fatal(err)
			}
			if err := c.CloseFor(instrument.ReasonSlowConsumer, 1008, ""); !errors.Is(err, errWithinFrame) {
				t.Errorf("CloseFor: %v, want errWithinFrame", err)
			}
			r.Expect(map[string]float64{`websocket_active_connections{}`: 0})
		})
	}
}

// TestGivenUp ends a connection after a write that has succeeded too late, which is the only error.
func TestGivenUp(t *testing.T) {
	r := realtimetest.New(t)
	c, _ := observed(t, r)
	c.WriteGivenUp(context.DeadlineExceeded)
	_ = c.Close()
	r.Expect(map[string]float64{
		`websocket_disconnections_total{initiator="network",reason="write_error"}`: 1,
		`websocket_errors_total{kind="write"}`:                                     1,
	})
}
