package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a network in the process, so that tests can run in the time of a synctest bubble.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.conns <- there:
		return here, nil
	case <-m.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// exchange is a server with a feed.
type exchange struct {
	t       *testing.T
	dial    websocket.DialOptions
	conns   chan *websocket.Conn
	started time.Time

	mu       sync.Mutex
	answers  []http.HandlerFunc // to the next requests, instead of accepting them
	requests []request
	header   []http.Header // of the requests
	urls     []string      // of the requests
	received []string
}

// request is a handshake request: when it came, counted from the start, and its Authorization.
type request struct {
	At    time.Duration
	Token string
}

// newExchange must be called in a bubble.
func newExchange(t *testing.T) *exchange {
	t.Helper()
	network := newMemory()
	x := &exchange{t: t, conns: make(chan *websocket.Conn, 100), started: time.Now()}
	transport := &http.Transport{DialContext: network.dial}
	x.dial.HTTPClient = &http.Client{Transport: transport}
	server := &http.Server{Handler: x}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(network)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		<-served
	})
	return x
}

func (x *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.header, x.urls = append(x.header, r.Header), append(x.urls, r.Host+r.RequestURI)
	x.requests = append(x.requests, request{At: time.Since(x.started), Token: r.Header.Get("Authorization")})
	var answer http.HandlerFunc
	if len(x.answers) > 0 {
		answer, x.answers = x.answers[0], x.answers[1:]
	}
	x.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		x.t.Errorf("accept: %v", err)
		return
	}
	defer ws.CloseNow()
	x.conns <- ws
	for {
		_, payload, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		x.mu.Lock()
		x.received = append(x.received, string(payload))
		x.mu.Unlock()
	}
}

// refuse has the next requests answered that way.
func (x *exchange) refuse(answers ...http.HandlerFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answers = append(x.answers, answers...)
}

func (x *exchange) asked() []request {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]request(nil), x.requests...)
}

// send sends messages as decode understands them.
func send(t *testing.T, ws *websocket.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := ws.Write(context.Background(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

// decode understands "stream first last", with "snapshot" or "restart" after it, and events that are separated by
// semicolons.
func decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	switch string(payload) {
	case "ack":
		return events, nil
	case "panic":
		panic("cannot decode that")
	}
	for text := range strings.SplitSeq(string(payload), ";") {
		e := client.Event{Value: text}
		if _, err := fmt.Sscanf(text, "%s %d %d", &e.Stream, &e.First, &e.Last); err != nil {
			return nil, errors.New("neither stream nor numbers")
		}
		e.Snapshot, e.Restart = strings.HasSuffix(text, " snapshot"), strings.HasSuffix(text, " restart")
		events = append(events, e)
	}
	return events, nil
}

// consumer is an application: it notes what the client gives to it.
type consumer struct {
	mu      sync.Mutex
	notes   []string
	changes []string
	records []map[string]any
}

func (a *consumer) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// noted returns the notes since the last call.
func (a *consumer) noted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	notes := a.notes
	a.notes = nil
	return notes
}

// changed returns the changes of state since the last call.
func (a *consumer) changed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	changes := a.changes
	a.changes = nil
	return changes
}

func (a *consumer) handle(_ context.Context, e client.Event) error {
	a.note("%s", e.Value)
	return nil
}

func (a *consumer) restore(_ context.Context, stream string, s client.Snapshot) (bool, error) {
	a.note("%s = %d", stream, s.Last)
	return s.Value == "drifted", nil
}

func (a *consumer) change(c client.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes = append(a.changes, strings.TrimSpace(fmt.Sprintf("%s %v", c.Stream, c.To)))
}

func (a *consumer) Write(p []byte) (int, error) {
	record := map[string]any{}
	if err := json.Unmarshal(p, &record); err != nil {
		return 0, err
	}
	delete(record, "time")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, record)
	return len(p), nil
}

// logged returns the records with that message.
func (a *consumer) logged(msg string) []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []map[string]any
	for _, r := range a.records {
		if r["msg"] == msg {
			found = append(found, r)
		}
	}
	return found
}

// snapshots hands out one snapshot after the other, as soon as each is given.
type snapshots chan func() (client.Snapshot, error)

func (s snapshots) fetch(ctx context.Context, _ string) (client.Snapshot, error) {
	select {
	case next := <-s:
		return next()
	case <-ctx.Done():
		return client.Snapshot{}, ctx.Err()
	}
}

// give has the next fetch return a snapshot with that number.
func (s snapshots) give(last uint64) {
	s <- func() (client.Snapshot, error) { return client.Snapshot{Last: last}, nil }
}

// running is a client that runs until the test ends.
type running struct {
	*client.Client
	stop func() error
}

// run runs a client of the exchange. Without jitter, waits are half of their ceiling.
func run(t *testing.T, x *exchange, a *consumer, feed client.Feed, opts ...client.Option) running {
	t.Helper()
	if feed.Decode == nil {
		feed.Decode = decode
	}
	if feed.Handle == nil {
		feed.Handle = a.handle
	}
	opts = append([]client.Option{
		client.WithName("test"),
		client.WithDialOptions(x.dial),
		client.WithJitter(0.5),
		client.WithStateChange(a.change),
		client.WithLogger(slog.New(slog.NewJSONHandler(a, nil))),
	}, opts...)
	c, err := client.New("ws://exchange.example/feed?token=secret", feed, opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var once sync.Once
	r := running{Client: c}
	r.stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// counts returns every counter, gauge and count of a histogram that is not 0, without what measures time or is always
// the same, by its name without the prefix and the values of its labels.
func counts(t *testing.T, c prometheus.Collector, without ...string) map[string]float64 {
	t.Helper()
	got, labels := map[string]float64{}, regexp.MustCompile(`[{,]\w+="([^"]*)"|[{}]`)
	for series, value := range realtimetest.Metrics(t, c) {
		short := labels.ReplaceAllString(strings.TrimPrefix(series, "websocket_client_"), " $1")
		got[strings.TrimSpace(short)] = value
	}
	for _, name := range append(without, "connected", "connect_attempts_total connected", "disconnected_seconds_total",
		"connect_duration_seconds_count", "ping_rtt_seconds_count", "first_message_seconds_count",
		"last_message_timestamp_seconds book", "backoff_seconds_count") {
		delete(got, name)
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool { return strings.Contains(name, "_seconds_sum") })
	return got
}
