package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/internal/load"
	"github.com/sockscope/sockscope/internal/stack"
)

// Fault is something that can be done to a stack and undone.
type Fault interface {
	// Inject starts the fault and returns how to undo it. The fault goes on after ctx has ended.
	Inject(ctx context.Context, s *Stack) (heal func(context.Context) error, err error)
	// String says what is done, for people.
	String() string
}

// demoFault turns on a fault of the demo.
type demoFault struct {
	name     string
	strength float64
}

func (f demoFault) String() string { return fmt.Sprintf("fault set %s %v", f.name, f.strength) }

func (f demoFault) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	return f.at(ctx, s, s.At.Demo)
}

func (f demoFault) at(ctx context.Context, s *Stack, address string) (func(context.Context) error, error) {
	client := fault.Client{URL: "http://" + address, HTTP: s.http}
	if _, err := client.Set(ctx, f.name, f.strength, fault.MaxDuration); err != nil {
		return nil, fmt.Errorf("turn on %s: %w", f.name, err)
	}
	return func(ctx context.Context) error {
		if _, err := client.Clear(ctx, f.name); err != nil {
			return fmt.Errorf("turn off %s: %w", f.name, err)
		}
		return nil
	}, nil
}

// oneNode turns on a fault of one node of the cluster.
type oneNode struct {
	demoFault

	number int // from 1
}

func (f oneNode) String() string {
	return fmt.Sprintf("%s on node %d of %d", f.demoFault, f.number, clusterNodes)
}

func (f oneNode) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	return f.at(ctx, s, s.cluster.nodes[f.number-1].address)
}

// pause stops a service without a word, as if it hung: its connections stay open.
type pause struct{ service string }

func (f pause) String() string { return "pause " + f.service }

func (f pause) Inject(_ context.Context, s *Stack) (func(context.Context) error, error) {
	if err := s.signal(f.service, stack.Pause); err != nil {
		return nil, err
	}
	return func(context.Context) error { return s.signal(f.service, stack.Resume) }, nil
}

// restart ends a service in order. The stack starts it again.
type restart struct{ service string }

func (f restart) String() string { return "restart " + f.service }

func (f restart) Inject(_ context.Context, s *Stack) (func(context.Context) error, error) {
	return noHealing, s.signal(f.service, syscall.SIGTERM)
}

// crash kills a service again and again, each time that the stack has started it.
type crash struct{ service string }

func (f crash) String() string { return "kill " + f.service + " whenever it is there" }

// crashEvery is how often it is looked whether there is something to kill.
const crashEvery = 100 * time.Millisecond

func (f crash) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	if err := s.signal(f.service, syscall.SIGKILL); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var killing sync.WaitGroup
	killing.Go(func() {
		for wait(ctx, crashEvery) == nil {
			_ = s.signal(f.service, syscall.SIGKILL) // fails while it is not there
		}
	})
	return func(context.Context) error {
		end()
		killing.Wait()
		return nil
	}, nil
}

// more adds connections.
type more struct{ groups []load.Group }

func (f more) String() string {
	about := make([]string, 0, len(f.groups))
	for _, g := range f.groups {
		if g.Connections > 0 {
			about = append(about, fmt.Sprintf("%d %s", g.Connections, g.Name))
			continue
		}
		about = append(about, g.Name)
	}
	return "add " + strings.Join(about, ", ")
}

func (f more) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	c := invite(ctx, []string{s.demoURL()}, f.groups)
	return func(context.Context) error { return c.leave() }, nil
}

// longest is how long a load goes on if nobody ends it.
const longest = 6 * time.Hour

// crowd is connections to the demo that go on until they are told to leave.
type crowd struct {
	cancel    context.CancelFunc
	connected chan struct{} // closed once all have been
	ended     chan struct{} // closed when they are gone
	err       error         // what kept them from coming, once ended is closed
}

// invite makes a load. What becomes of it is nothing to drills: they break things.
func invite(ctx context.Context, urls []string, groups []load.Group) *crowd {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &crowd{cancel: cancel, connected: make(chan struct{}), ended: make(chan struct{})}
	var once sync.Once
	go func() {
		defer close(c.ended)
		_, c.err = load.Run(ctx, load.Config{
			URLs:     urls,
			Scenario: load.Scenario{Name: "drill", Duration: longest, Groups: groups},
		}, 100*time.Millisecond, func(p load.Progress) {
			if p.Elapsed > 0 {
				once.Do(func() { close(c.connected) })
			}
		})
	}()
	return c
}

// arrived waits until all have connected.
func (c *crowd) arrived(ctx context.Context) error {
	select {
	case <-c.connected:
		return nil
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave ends the connections in order.
func (c *crowd) leave() error {
	c.cancel()
	<-c.ended
	if errors.Is(c.err, context.Canceled) {
		return nil
	}
	return c.err
}

func noHealing(context.Context) error { return nil }

// wait returns nil after that time, or the error of ctx when that ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// growth adds connections evenly over a true time.
type growth struct {
	group load.Group
	over  time.Duration
}

func (f growth) String() string {
	return fmt.Sprintf("add %d %s within %v", f.group.Connections, f.group.Name, f.over)
}

func (f growth) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	group := f.group
	group.Ramp = atSpeed(f.over, s.Speed)
	return more{[]load.Group{group}}.Inject(ctx, s)
}

// timeout puts something between people and the demo that cuts each connection at one age, without a close frame, as a
// load balancer does whose timeout is shorter than connections are to last.
type timeout struct {
	after  time.Duration // however fast the rules are
	people load.Group
}

func (f timeout) String() string {
	return fmt.Sprintf("lead %d %s through a proxy that cuts each connection after %v", f.people.Connections, f.people.Name, f.after)
}

func (f timeout) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	proxying, end := context.WithCancel(context.WithoutCancel(ctx))
	var proxy sync.WaitGroup
	proxy.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			proxy.Go(func() { f.lead(proxying, client, s.At.Demo) })
		}
	})
	people := invite(ctx, []string{"ws://" + listener.Addr().String() + "/ws"}, []load.Group{f.people})
	return func(context.Context) error {
		err := errors.Join(people.leave(), listener.Close())
		end()
		proxy.Wait()
		return err
	}, nil
}

// lead copies between a client and a server until one of them has ended the connection or it is old enough.
func (f timeout) lead(ctx context.Context, client net.Conn, server string) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, f.after)
	defer cancel()
	upstream, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return // as if there were no server
	}
	defer upstream.Close()
	var copying sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{client: upstream, upstream: client} {
		copying.Go(func() {
			defer cancel()
			_, _ = io.Copy(to, from) // ends by what the others do
		})
	}
	<-ctx.Done()
	_, _ = client.Close(), upstream.Close() // so that the copying ends
	copying.Wait()
}

// telemetry has a service send the same OTLP request once a second.
type telemetry struct{ about, path, body string }

func (f telemetry) String() string { return f.about }

// timeless is a data point whose time is 0.
const timeless = `{"resourceMetrics": [{
	"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "sockscope-drill"}}]},
	"scopeMetrics": [{"metrics": [{"name": "drill.timeless", "gauge": {"dataPoints": [{"timeUnixNano": "0", "asDouble": 1}]}}]}]
}]}`

// records is a request with so many log records of one message by one user.
func records(n, severity int, message, user string) string {
	record := fmt.Sprintf(`{"severityNumber": %d, "body": {"stringValue": %q}, "attributes": [{"key": "user", "value": {"stringValue": %q}}]}`,
		severity, message, user)
	return `{"resourceLogs": [{
		"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "sockscope-drill"}}]},
		"scopeLogs": [{"logRecords": [` + strings.Repeat(record+",", n-1) + record + `]}]
	}]}`
}

func (f telemetry) Inject(ctx context.Context, s *Stack) (func(context.Context) error, error) {
	if err := s.sendOTLP(ctx, f.path, f.body); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var sending sync.WaitGroup
	sending.Go(func() {
		for wait(ctx, time.Second) == nil {
			_ = s.sendOTLP(ctx, f.path, f.body) // the next one comes in a second
		}
	})
	return func(context.Context) error {
		end()
		sending.Wait()
		return nil
	}, nil
}
