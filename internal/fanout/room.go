package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/internal/process"
)

const (
	dialers = 32
	// patience is how long nothing may arrive.
	patience = 20 * time.Second
	// shards are the parts of the histogram of latencies, so that subscribers do not wait for each other.
	shards = 64
	// most is how many messages may be outstanding.
	most = 1 << 12
)

// room is the subscribers of one server.
type room struct {
	subject   subject
	server    *process.Process
	publisher *websocket.Conn
	padding   string // brings a message to its size
	number    int    // of the last message

	conns   []*websocket.Conn
	reading sync.WaitGroup
	missing [most]atomic.Int64 // subscribers that have not got a message, by its number
	whole   chan struct{}      // takes a value when all have got a message
	latency [shards]latencies
}

// latencies are of some of the subscribers.
type latencies struct {
	mu sync.Mutex
	*hdrhistogram.Histogram
}

// open connects the publisher, and finds out how long a text has to be.
func open(ctx context.Context, s subject, srv *process.Process, size int) (*room, error) {
	r := &room{subject: s, server: srv, whole: make(chan struct{}, most)}
	for i := range r.latency {
		r.latency[i].Histogram = hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	}
	var err error
	if r.publisher, err = r.dial(ctx); err != nil {
		return nil, err
	}
	text := mark(time.Now(), 0)
	if err := r.publish(text); err != nil {
		return nil, err
	}
	for {
		_, data, err := r.publisher.ReadMessage()
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(data), text) {
			continue
		}
		if len(data) > size {
			return nil, fmt.Errorf("the shortest message has %d bytes: give a -size of as many", len(data))
		}
		r.padding = strings.Repeat("x", size-len(data))
		break
	}
	r.reading.Go(func() { discard(r.publisher) })
	return r, nil
}

// discard reads to the end.
func discard(conn *websocket.Conn) {
	buf := make([]byte, 16<<10)
	for {
		if _, err := conn.NetConn().Read(buf); err != nil {
			return
		}
	}
}

// dial makes a subscriber.
func (r *room) dial(ctx context.Context) (*websocket.Conn, error) {
	url, header, err := r.subject.dial(r.server.Address)
	if err != nil {
		return nil, err
	}
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, url, header)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	if err := r.subject.join(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// connect connects the subscribers.
func (r *room) connect(ctx context.Context, n int) error {
	r.conns = make([]*websocket.Conn, n)
	var failed atomic.Pointer[error]
	var next atomic.Int64
	var group sync.WaitGroup
	for range dialers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				conn, err := r.dial(ctx)
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				r.conns[i] = conn
				r.reading.Go(func() { r.read(conn, &r.latency[i%shards]) })
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("connect a subscriber: %w", *err)
	}
	return nil
}

// empty closes all connections.
func (r *room) empty() {
	for _, conn := range append(r.conns, r.publisher) {
		if conn != nil {
			_ = conn.Close()
		}
	}
	r.reading.Wait()
}

// read notes what a subscriber gets, until its connection ends.
func (r *room) read(conn *websocket.Conn, l *latencies) {
	var found scanner
	for {
		n, err := conn.NetConn().Read(found.free())
		if err != nil {
			return
		}
		now := time.Now()
		for at, number := range found.marks(n) {
			l.mu.Lock()
			_ = l.RecordValue(max(1, now.Sub(at).Microseconds())) // one beyond a minute is not worth more
			l.mu.Unlock()
			if r.missing[number%most].Add(-1) == 0 {
				r.whole <- struct{}{}
			}
		}
	}
}

func (r *room) publish(text string) error {
	data, err := r.subject.publish(text + r.padding)
	if err != nil {
		return err
	}
	return r.publisher.WriteMessage(websocket.TextMessage, data)
}

// result is what was measured once.
type result struct {
	deliveries int
	took       time.Duration
	processor  time.Duration // time of the server's
	latency    *hdrhistogram.Histogram
}

func (r result) rate() float64 { return float64(r.deliveries) / r.took.Seconds() }

// cpu is in microseconds for each delivery.
func (r result) cpu() float64 { return r.processor.Seconds() * 1e6 / float64(r.deliveries) }

// p50 and p99 are in milliseconds.
func (r result) p50() float64 { return float64(r.latency.ValueAtQuantile(50)) / 1e3 }
func (r result) p99() float64 { return float64(r.latency.ValueAtQuantile(99)) / 1e3 }

// measure keeps so many messages on their way for some time.
func (r *room) measure(ctx context.Context, outstanding int, lasting time.Duration) (result, error) {
	before, err := r.server.CPU()
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	published, under := 0, 0
	for ; under < outstanding; under++ {
		if err := r.next(); err != nil {
			return result{}, err
		}
		published++
	}
	for under > 0 {
		select {
		case <-r.whole:
			under--
		case <-time.After(patience):
			return result{}, fmt.Errorf("a message does not get to all subscribers within %v", patience)
		case <-ctx.Done():
			return result{}, context.Cause(ctx)
		}
		if time.Since(begin) > lasting {
			continue
		}
		if err := r.next(); err != nil {
			return result{}, err
		}
		published++
		under++
	}
	took := time.Since(begin)
	after, err := r.server.CPU()
	return result{published * len(r.conns), took, after - before, r.latencies()}, err
}

// next publishes the next message.
func (r *room) next() error {
	r.number++
	r.missing[r.number%most].Store(int64(len(r.conns)))
	return r.publish(mark(time.Now(), r.number))
}

// latencies returns those since it was called before.
func (r *room) latencies() *hdrhistogram.Histogram {
	all := hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
	for i := range r.latency {
		l := &r.latency[i]
		l.mu.Lock()
		all.Merge(l.Histogram)
		l.Reset()
		l.mu.Unlock()
	}
	return all
}
