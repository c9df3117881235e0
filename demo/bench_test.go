package demo

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/room"
)

// BenchmarkFanOut delivers a message to a room of 10,000 over loopback and waits until every client has got it: "bare"
// by a loop that writes the same bytes to each connection, "room" the way that every message takes once it is saved,
// with everything observed. Both write to the same connections. The clients are another process, as one may not have
// files enough open for both ends.
func BenchmarkFanOut(b *testing.B) {
	benchmarkFanOut(b, crowd{sockets: 10_000}, (*gathering).deliver)
}

// BenchmarkFanOutMixed is BenchmarkFanOut for clients of all transports. "room" saves the message as well, because
// polls read it from the history. The bare polls are answered by the shortest handler that does so, with the bytes of
// the message.
func BenchmarkFanOutMixed(b *testing.B) {
	benchmarkFanOut(b, crowd{sockets: 4_000, events: 4_000, polls: 2_000}, (*gathering).say)
}

func benchmarkFanOut(b *testing.B, c crowd, publish func(*gathering, history.Message)) {
	g := gather(b, c)
	for _, bench := range []struct {
		name    string
		deliver func(*gathering, history.Message)
	}{{"bare", (*gathering).writeToEach}, {"room", publish}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.deliver(g, g.message())
				g.await(b)
			}
			b.ReportMetric(float64(b.N*c.size())/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// crowd is how many clients there are of each transport.
type crowd struct{ sockets, events, polls int }

func (c crowd) size() int { return c.sockets + c.events + c.polls }

// gathering is a server with a room full of members.
type gathering struct {
	crowd
	server  *Server
	members []net.Conn // the sockets, then the streams of events
	polls   bareHandler
	seq     uint64
	clients io.Writer // takes how many messages to wait for
	answers *bufio.Reader
}

// noting notes the connections that it accepts.
type noting struct {
	net.Listener
	g *gathering
}

func (l noting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && len(l.g.members) < l.g.sockets+l.g.events {
		l.g.members = append(l.g.members, conn)
	}
	return conn, err
}

func gather(b *testing.B, c crowd) *gathering {
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
	server, err := New(Config{
		History: store, Authority: authority, Registerer: prometheus.NewRegistry(), Heartbeat: 1000 * time.Hour,
		Limits: Limits{PollsPerSecond: 1e9}, // all polls are Ada's
	})
	if err != nil {
		b.Fatal(err)
	}
	g := &gathering{crowd: c, server: server}
	mux := http.NewServeMux()
	mux.Handle("/", server.Handler())
	mux.Handle("/bare", &g.polls)
	web := httptest.NewUnstartedServer(mux)
	web.Listener = noting{web.Listener, g}
	web.Start()
	b.Cleanup(func() {
		server.sessions.Cut()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = server.Shutdown(ctx)
		web.CloseClientConnections()
		web.Close()
	})
	token, err := authority.Issue("Ada", nil, 24*time.Hour)
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
	clients.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d %d", clientsOf, address, token, g.sockets, g.events, g.crowd.polls))
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
		Room: "lobby", Seq: g.seq, ID: uuid.NewString(), SavedID: uuid.NewString(), From: "Ada", Text: "hello",
		Time: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
	}
}

// writeToEach writes to one member after the other, as fast as it can be done without queues.
func (g *gathering) writeToEach(m history.Message) {
	f, err := room.Frame(context.Background(), m)
	if err != nil {
		return // and nobody gets anything, which is found out
	}
	g.polls.say(f.Data)
	const finText, length16 = 0x81, 126
	frame := binary.BigEndian.AppendUint16([]byte{finText, length16}, uint16(len(f.Data)))
	frame = append(frame, f.Data...)
	event := fmt.Appendf(nil, "id: 1234567-%x\nevent: message\ndata: %s\n\n", m.Seq, f.Data)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
	for i, conn := range g.members {
		_ = conn.SetWriteDeadline(time.Time{}) // or that of welcome would hold
		if i < g.sockets {
			_, _ = conn.Write(frame)
		} else {
			_, _ = conn.Write(chunk)
		}
	}
}

// deliver delivers a message as if it were saved.
func (g *gathering) deliver(m history.Message) { _ = g.server.cluster.Deliver(context.Background(), m) }

// say saves a message and delivers it.
func (g *gathering) say(m history.Message) { _ = g.server.chat.Say(context.Background(), m) }

// await waits until all clients have got the message.
func (g *gathering) await(b *testing.B) {
	if _, err := fmt.Fprintln(g.clients, g.size()); err != nil {
		b.Fatal(err)
	}
	if _, err := g.answers.ReadString('\n'); err != nil {
		b.Fatalf("clients have not got the message: %v", err)
	}
}

// bareHandler answers polls with the last message, once there is another one than they know.
type bareHandler struct {
	mu   sync.Mutex
	seq  int
	data []byte
	said chan struct{} // closed when there is a newer message
}

func (h *bareHandler) say(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	h.data = data
	if h.said != nil {
		close(h.said)
	}
	h.said = make(chan struct{})
}

func (h *bareHandler) last() (int, []byte, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.said == nil {
		h.said = make(chan struct{})
	}
	return h.seq, h.data, h.said
}

func (h *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for {
		seq, data, said := h.last()
		if seq > after {
			w.Header().Set("Seq", strconv.Itoa(seq))
			_, _ = w.Write(data)
			return
		}
		select {
		case <-said:
		case <-r.Context().Done():
			return
		}
	}
}
