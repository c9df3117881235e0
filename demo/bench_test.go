package demo

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/room"
)

// crowded is how many members the room of BenchmarkFanOut has.
const crowded = 10_000

// BenchmarkFanOut delivers a message to a room of 10,000 over loopback and waits until every client has got it: "bare"
// by a loop that writes the same bytes to each connection, "room" the way that every message takes once it is saved,
// with everything observed. Both write to the same connections. The clients are another process, as one may not have
// files enough open for both ends.
func BenchmarkFanOut(b *testing.B) {
	crowd := gather(b)
	for _, bench := range []struct {
		name    string
		deliver func(m history.Message)
	}{{"bare", crowd.writeToEach}, {"room", crowd.publish}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := crowd.message()
				bench.deliver(m)
				crowd.await(b, m)
			}
			b.ReportMetric(float64(b.N)*crowded/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// gathering is a server with a room full of members.
type gathering struct {
	server  *Server
	members []net.Conn
	seq     uint64
	clients io.Writer // takes how many bytes to wait for
	answers *bufio.Reader
}

// noting notes the connections that it accepts.
type noting struct {
	net.Listener
	g *gathering
}

func (l noting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.g.members = append(l.g.members, conn)
	}
	return conn, err
}

func gather(b *testing.B) *gathering {
	key, err := auth.LoadKey("")
	if err != nil {
		b.Fatal(err)
	}
	authority, err := auth.New(key)
	if err != nil {
		b.Fatal(err)
	}
	store, err := history.OpenFile(filepath.Join(b.TempDir(), "history.db"), history.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	server, err := New(Config{History: store, Authority: authority, Registerer: prometheus.NewRegistry(), Heartbeat: 1000 * time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	g := &gathering{server: server}
	web := httptest.NewUnstartedServer(server.Handler())
	web.Listener = noting{web.Listener, g}
	web.Start()
	b.Cleanup(func() {
		server.sessions.Cut()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = server.Shutdown(ctx)
		web.Close()
	})
	token, err := authority.Issue("Ada", nil, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	g.connect(b, web.Listener.Addr().String(), token)
	for _, s := range server.sessions.All() {
		if _, err := server.rooms.Join(b.Context(), "lobby", s); err != nil {
			b.Fatal(err)
		}
	}
	return g
}

// connect starts the clients and waits until all are connected.
func (g *gathering) connect(b *testing.B, address, token string) {
	clients := exec.Command(os.Args[0])
	clients.Env = append(os.Environ(), clientsOf+"="+address, "TOKEN="+token)
	clients.Stderr = os.Stderr
	in, err := clients.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = in.Close(), clients.Wait() }) // an error means that they have ended before
	g.clients, g.answers = in, bufio.NewReader(out)
	if _, err := g.answers.ReadString('\n'); err != nil {
		b.Fatalf("the clients do not connect: %v", err)
	}
}

func (g *gathering) message() history.Message {
	g.seq++
	return history.Message{
		Room: "lobby", Seq: g.seq, ID: "6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55", SavedID: "6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c56",
		From: "Ada", Text: "hello", Time: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
	}
}

// writeToEach writes to one member after the other, as fast as it can be done without queues.
func (g *gathering) writeToEach(m history.Message) {
	f, err := room.Frame(context.Background(), m)
	if err != nil {
		return // and nobody gets anything, which is found out
	}
	const finText, length16 = 0x81, 126
	frame := binary.BigEndian.AppendUint16([]byte{finText, length16}, uint16(len(f.Data)))
	frame = append(frame, f.Data...)
	for _, conn := range g.members {
		_ = conn.SetWriteDeadline(time.Time{}) // or that of welcome would hold
		_, _ = conn.Write(frame)
	}
}

func (g *gathering) publish(m history.Message) { _ = g.server.cluster.Deliver(context.Background(), m) }

// await waits until all clients have got the message.
func (g *gathering) await(b *testing.B, m history.Message) {
	f, err := room.Frame(b.Context(), m)
	if err != nil {
		b.Fatal(err)
	}
	const header = 4 // of a frame from 126 bytes on
	if _, err := fmt.Fprintln(g.clients, crowded*(header+len(f.Data))); err != nil {
		b.Fatal(err)
	}
	if _, err := g.answers.ReadString('\n'); err != nil {
		b.Fatalf("clients have not got the message: %v", err)
	}
}

// clientsOf is the variable that makes this program the clients of the server at that address.
const clientsOf = "SOCKSCOPE_BENCHMARK_CLIENTS_OF"

// runClients connects, and then reads whatever comes, and answers a number with a line when that many more bytes have.
func runClients(address, token string) error {
	var got atomic.Int64
	for range crowded {
		if err := runClient(address, token, &got); err != nil {
			return err
		}
	}
	fmt.Println("connected")
	want := int64(0)
	for {
		var n int64
		if _, err := fmt.Scanln(&n); errors.Is(err, io.EOF) {
			return nil // the benchmark has ended
		} else if err != nil {
			return err
		}
		for want += n; got.Load() < want; {
			time.Sleep(20 * time.Microsecond)
		}
		fmt.Println("got it")
	}
}

func runClient(address, token string, got *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: demo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
		return err
	}
	buf := make([]byte, 1<<10)
	for welcomed := ""; !strings.HasSuffix(welcomed, "}"); { // the answer, and welcome behind it
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		welcomed += string(buf[:n])
	}
	go func() {
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			got.Add(int64(n))
		}
	}()
	return nil
}
