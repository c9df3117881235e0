package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	dialers = 16
	// patience is how long nothing may arrive.
	patience = 30 * time.Second
	// heartbeats is for how many of them a client that hangs is waited for.
	heartbeats = 5
	room       = "lobby"

	// A mark begins each text. It says when it was sent.
	markBegins = "at:"
	timeSize   = 19
	markSize   = len(markBegins) + timeSize + 1
)

// result is what was measured once.
type result struct {
	deliveries int
	received   int64         // bytes of all subscribers
	processor  time.Duration // time of the demo's
	resident   int           // bytes of memory for all subscribers
	clients    int
	latency    *hdrhistogram.Histogram // microseconds
}

func (r result) bytes() float64   { return float64(r.received) / float64(r.deliveries) }
func (r result) perCore() float64 { return float64(r.deliveries) / r.processor.Seconds() }
func (r result) p50() float64     { return float64(r.latency.ValueAtQuantile(50)) / 1e3 }
func (r result) p99() float64     { return float64(r.latency.ValueAtQuantile(99)) / 1e3 }
func (r result) memory() float64  { return float64(r.resident) / 1024 / float64(r.clients) }

// crowd is the subscribers.
type crowd struct {
	received atomic.Int64 // bytes
	missing  atomic.Int64 // subscribers that have not got the last message
	whole    chan struct{}
	reading  sync.WaitGroup

	mu      sync.Mutex
	conns   []transport.Conn
	latency *hdrhistogram.Histogram
}

// measure has subscribers in one room of a demo, and says one thing after the other there, each when all have got the
// one before.
func (p *plan) measure(ctx context.Context, over transport.Name, nginx string) (r result, err error) {
	s, err := p.start(ctx, nginx)
	if err != nil {
		return r, err
	}
	defer s.stop()
	c := &crowd{whole: make(chan struct{}, 1), latency: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}
	defer c.leave()
	publisher, err := s.member(ctx, transport.WebSocket, s.direct, 0, nil)
	if err != nil {
		return r, err
	}
	defer publisher.Cut()
	go receive(publisher, func([]byte) {})
	before, err := s.Memory()
	if err != nil {
		return r, err
	}
	if err := c.connect(ctx, s, over, p.subscribers); err != nil {
		return r, err
	}
	time.Sleep(p.settle)
	after, err := s.Memory()
	if err != nil {
		return r, err
	}
	r.resident, r.clients = after-before, p.subscribers
	return r, p.deliver(ctx, s, publisher, c, &r)
}

// deliver says things until the time is over.
func (p *plan) deliver(ctx context.Context, s *subject, publisher transport.Conn, c *crowd, r *result) error {
	if err := p.say(ctx, publisher, c); err != nil { // not measured
		return err
	}
	c.latency.Reset()
	c.received.Store(0)
	before, err := s.CPU()
	if err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < p.time; r.deliveries += p.subscribers {
		if err := p.say(ctx, publisher, c); err != nil {
			return err
		}
	}
	after, err := s.CPU()
	r.processor, r.received, r.latency = after-before, c.received.Load(), c.latency
	return err
}

// say says one thing, and waits until all subscribers have got it.
func (p *plan) say(ctx context.Context, publisher transport.Conn, c *crowd) error {
	c.missing.Store(int64(p.subscribers))
	mark := fmt.Sprintf("%s%0*d:", markBegins, timeSize, time.Now().UnixNano())
	env, err := wire.New(wire.TypeMessage, "", wire.MessagePayload{Room: room, Text: mark + strings.Repeat("x", p.size-markSize)})
	if err != nil {
		return err
	}
	if err := publisher.Send(&env); err != nil {
		return err
	}
	select {
	case <-c.whole:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%d subscribers do not get a message within %v", c.missing.Load(), patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connect connects the subscribers.
func (c *crowd) connect(ctx context.Context, s *subject, over transport.Name, n int) error {
	var next atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, dialers)
	for range dialers {
		group.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				conn, err := s.member(ctx, over, s.server, i, &c.received)
				if err != nil {
					failed <- err
					return
				}
				c.mu.Lock()
				c.conns = append(c.conns, conn)
				c.mu.Unlock()
				c.reading.Go(func() { c.read(conn) })
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("connect a subscriber: %w", err)
	default:
		return nil
	}
}

// leave ends all connections.
func (c *crowd) leave() {
	for _, conn := range c.conns {
		conn.Cut()
	}
	c.reading.Wait()
}

// read notes what a subscriber gets. The text of a message is the same in every encoding.
func (c *crowd) read(conn transport.Conn) {
	take := func(data []byte) {
		_, mark, found := bytes.Cut(data, []byte(markBegins))
		if !found || len(mark) < timeSize {
			return
		}
		nanos, err := strconv.ParseInt(string(mark[:timeSize]), 10, 64)
		if err != nil {
			return
		}
		c.mu.Lock()
		_ = c.latency.RecordValue(max(1, time.Since(time.Unix(0, nanos)).Microseconds())) // one beyond a minute is not worth more
		c.mu.Unlock()
		if c.missing.Add(-1) == 0 {
			c.whole <- struct{}{}
		}
	}
	receive(conn, take)
}

// receive hands to take what comes, until the connection ends.
func receive(conn transport.Conn, take func([]byte)) {
	for {
		if err := conn.Receive(take); err != nil {
			return
		}
	}
}

// member connects a user and has it join the room.
func (s *subject) member(ctx context.Context, over transport.Name, to upstream.Server, user int, received *atomic.Int64) (transport.Conn, error) {
	conn, err := s.dial(ctx, over, to, user, received)
	if err != nil {
		return nil, err
	}
	env, err := wire.New(wire.TypeJoin, "", wire.JoinPayload{Room: room})
	if err == nil {
		err = await(conn, func(came wire.Envelope) bool { return came.Type == wire.TypeWelcome })
	}
	if err == nil {
		err = conn.Send(&env)
	}
	if err == nil {
		err = await(conn, func(came wire.Envelope) bool { return came.MessageID == env.MessageID })
	}
	if err != nil {
		conn.Cut()
		return nil, err
	}
	return conn, nil
}

// await reads until what is wanted comes.
func await(conn transport.Conn, wanted func(wire.Envelope) bool) error {
	defer time.AfterFunc(patience, conn.Cut).Stop()
	for {
		var came wire.Envelope
		var unread error
		err := conn.Receive(func(data []byte) { came, unread = conn.Decode(data) })
		if err = errors.Join(err, unread); err != nil || wanted(came) {
			return err
		}
	}
}

// noticed returns how long a demo takes to notice that a client hangs, or how long was waited for that in vain.
func (p *plan) noticed(ctx context.Context, over transport.Name) (took time.Duration, noticed bool, err error) {
	s, err := p.start(ctx, "")
	if err != nil {
		return 0, false, err
	}
	defer s.stop()
	conn, err := s.member(ctx, over, s.direct, 1, nil)
	if err != nil {
		return 0, false, err
	}
	begin := time.Now()
	conn.Vanish()
	defer conn.Noticed() // which ends it
	for time.Since(begin) < heartbeats*p.heartbeat {
		n, err := s.active(ctx, over)
		if err != nil || n == 0 {
			return time.Since(begin), err == nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begin), false, nil
}

// active returns how many clients of a transport the demo counts.
func (s *subject) active(ctx context.Context, over transport.Name) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.direct.HTTP("/metrics"), http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	prefix := over.String()
	if over == transport.GRPC {
		prefix = "grpc_stream"
	}
	name := prefix + `_active_connections{namespace="chat"} `
	_, rest, found := strings.Cut(string(text), "\n"+name)
	if !found {
		return 0, fmt.Errorf("the demo has no %s", name)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return strconv.Atoi(value)
}
