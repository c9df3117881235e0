package inject

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sockscope/sockscope/demo/fault"
)

// TestHold looks at each way in which a connection stops waiting.
func TestHold(t *testing.T) {
	s := &fault.Switch{Name: "held", Unit: "share", Min: 0.01, Max: 1}
	for name, tc := range map[string]struct {
		above     float64
		atMost    time.Duration
		strength  float64 // of the fault, which lasts for a minute
		meanwhile func(*heldConn)
		took      time.Duration
		err       error
	}{
		"off":          {0, time.Hour, 0, nil, 0, nil},
		"not this one": {0.5, time.Hour, 0.5, nil, 0, nil},
		"heals":        {0, time.Hour, 1, nil, time.Minute, nil},
		"turned off":   {0, time.Hour, 1, func(*heldConn) { s.TurnOff() }, 10 * time.Second, nil},
		"time is up":   {0, 20 * time.Second, 1, nil, 20 * time.Second, nil},
		"deadline": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		}, 15 * time.Second, os.ErrDeadlineExceeded},
		"deadline passed": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(-time.Second))
		}, 10 * time.Second, os.ErrDeadlineExceeded},
		"deadline put off": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_ = c.SetDeadline(time.Time{})
		}, time.Minute, nil},
		"closed": {0, time.Hour, 1, func(c *heldConn) { _ = c.Close() }, 10 * time.Second, net.ErrClosed},
		"half closed": {0, time.Hour, 1, func(c *heldConn) {
			c.in.end(io.EOF)
			c.out.end(io.EOF)
		}, 10 * time.Second, io.EOF},
		"turned on anew": {0, time.Hour, 1, func(*heldConn) {
			if _, err := s.TurnOn(1, time.Minute); err != nil {
				t.Error(err)
			}
		}, 70 * time.Second, nil},
	} {
		for _, direction := range []string{"read", "write"} {
			t.Run(name+", "+direction, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					here, there := net.Pipe()
					defer there.Close()
					c := &heldConn{Conn: here}
					defer c.Close()
					for _, h := range []*hold{&c.in, &c.out} {
						h.fault, h.above, h.atMost = s, tc.above, tc.atMost
					}
					if tc.strength > 0 {
						if _, err := s.TurnOn(tc.strength, time.Minute); err != nil {
							t.Fatal(err)
						}
					}
					defer s.TurnOff()
					begin := time.Now()
					if tc.meanwhile != nil {
						time.AfterFunc(10*time.Second, func() { tc.meanwhile(c) })
					}
					do, peer := c.Read, there.Write
					if direction == "write" {
						do, peer = c.Write, there.Read
					}
					go func() { _, _ = peer(make([]byte, 1)) }()
					n, err := do(make([]byte, 1))
					took := time.Since(begin)
					if took != tc.took || !errors.Is(err, tc.err) || (n == 1) != (tc.err == nil) {
						t.Errorf("%d, %v after %v, want %v after %v", n, err, took, tc.err, tc.took)
					}
				})
			})
		}
	}
}

func TestCloseReadUnsupported(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := &heldConn{Conn: here}
	defer c.Close()
	if err := c.CloseRead(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("half of a pipe is closed: %v", err)
	}
}
