package websocket

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorder is a connection that writes down what it is told. It takes so many bytes of all.
type recorder struct {
	net.Conn
	takes     int
	writes    []string
	deadlines []time.Time
}

func (r *recorder) Write(p []byte) (int, error) {
	n := min(len(p), r.takes)
	r.takes -= n
	r.writes = append(r.writes, string(p[:n]))
	if n < len(p) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

func (r *recorder) SetDeadline(t time.Time) error { return r.SetWriteDeadline(t) }

func (r *recorder) SetWriteDeadline(t time.Time) error {
	r.deadlines = append(r.deadlines, t)
	return nil
}

// frames are whole messages and control frames, as far as conn looks at them.
const (
	hello = "\x81\x05hello"
	you   = "\x81\x03you"
	world = "\x82\x05world"
	ping  = "\x89\x00"
)

// TestHeld writes frames together, with a ping in between, and has the connection break at each byte: what was written
// whole is known, and nothing is written into the middle of a frame.
func TestHeld(t *testing.T) {
	t.Parallel()
	const all = hello + you + world
	for takes := range len(all) + 1 {
		r := &recorder{takes: len(ping) + takes}
		h := &held{}
		c := &conn{Conn: r, held: h}
		for _, frame := range []string{hello, ping, you} {
			if n, err := c.Write([]byte(frame)); n != len(frame) || err != nil {
				t.Errorf("%d bytes of %q were taken: %v", n, frame, err)
			}
		}
		h.last = true
		n, err := c.Write([]byte(world))
		if diff := cmp.Diff([]string{ping, all[:takes]}, r.writes); diff != "" {
			t.Errorf("%d bytes: written (-want +got):\n%s", takes, diff)
		}
		if got := all[:takes]; n != max(0, takes-len(hello+you)) || (err == nil) != (got == all) {
			t.Errorf("%d bytes: %d of the last frame were written: %v", takes, n, err)
		}
		whole, torn := 0, true
		for i, end := range []int{0, len(hello), len(hello + you), len(all)} {
			if takes >= end {
				whole, torn = i, takes > end && end < len(hello+you)
			}
		}
		if h.whole != whole {
			t.Errorf("%d bytes: %d frames are known to be written, want %d", takes, h.whole, whole)
		}
		c.held, r.takes = nil, len(ping)
		if _, err := c.Write([]byte(ping)); errors.Is(err, errTorn) != torn || (err == nil) == torn {
			t.Errorf("%d bytes: a ping afterwards: %v, want it to be refused: %v", takes, err, torn)
		}
	}
}

// TestDeadlines sets deadlines: one that is set already costs nothing.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := &conn{Conn: r}
	now := time.Now()
	for _, set := range []func(time.Time) error{c.SetWriteDeadline, c.SetDeadline} {
		for _, at := range []time.Time{now, now, now.Round(0), now.Add(1), now} {
			if err := set(at); err != nil {
				t.Error(err)
			}
		}
	}
	want := []time.Time{now, now.Add(1), now, now, now, now, now.Add(1), now} // SetDeadline sets that of reads as well
	if diff := cmp.Diff(want, r.deadlines); diff != "" {
		t.Errorf("deadlines (-want +got):\n%s", diff)
	}
}
