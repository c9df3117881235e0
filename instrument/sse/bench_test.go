package sse_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// BenchmarkSend sends events of 128 bytes over loopback, each of which the peer reads before the next, as there is no
// echo here: "bare" by the ResponseWriter alone, with a deadline for each write, without which a peer that does not
// read could hold the handler for ever, "unobserved" by a Stream, "observed" with everything counted.
func BenchmarkSend(b *testing.B) {
	b.Run("bare", func(b *testing.B) { send(b, bare(b)) })
	b.Run("unobserved", func(b *testing.B) { send(b, observed(b, nil)) })
	b.Run("observed", func(b *testing.B) { send(b, observed(b, newObserver(b))) })
}

func newObserver(tb testing.TB) *instrument.Observer {
	tb.Helper()
	o, err := instrument.New(instrument.WithProtocol(sse.Protocol))
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// bare sends an event of 128 bytes for each wish, as one does without this package.
func bare(tb testing.TB) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	frame := append(append([]byte("data: "), payload()...), '\n', '\n')
	return func(w http.ResponseWriter, _ *http.Request, wishes <-chan struct{}) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		_, err := io.WriteString(w, ":\n\n") // as a Stream begins
		err = errors.Join(err, control.SetWriteDeadline(time.Time{}), control.SetReadDeadline(time.Time{}), control.Flush())
		if err != nil {
			tb.Error(err)
		}
		for range wishes {
			_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := w.Write(frame); err != nil || control.Flush() != nil {
				tb.Error(err)
				return
			}
			_ = control.SetWriteDeadline(time.Time{})
		}
	}
}

// observed does the same by a Stream.
func observed(tb testing.TB, o *instrument.Observer) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, r *http.Request, wishes <-chan struct{}) {
		stream, err := sse.Accept(w, r, o)
		if err != nil {
			tb.Error(err)
			return
		}
		defer stream.Close()
		stream.CountMessages(nil)
		e := sse.Event{Data: payload()}
		for range wishes {
			if err := stream.Send(e); err != nil {
				tb.Error(err)
				return
			}
		}
	}
}

func payload() []byte {
	p := make([]byte, 128)
	for i := range p {
		p[i] = 'x'
	}
	return p
}

func send(b *testing.B, handler func(http.ResponseWriter, *http.Request, <-chan struct{})) {
	wish, done := pairOf(b, handler)
	defer done()
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		wish()
	}
}

// pairOf connects a server and a peer; wish has one event sent and read.
func pairOf(tb testing.TB, handler func(http.ResponseWriter, *http.Request, <-chan struct{})) (wish, done func()) {
	tb.Helper()
	wishes, s := make(chan struct{}), new(server)
	s.start(tb, protocols()["HTTP1"], func(w http.ResponseWriter, r *http.Request) { handler(w, r, wishes) })
	c := connect(tb, s, nil)
	lines := bufio.NewReader(c.Body)
	read := func() {
		for range 2 { // the line, and the empty one that ends an event or a comment
			if _, err := lines.ReadSlice('\n'); err != nil {
				tb.Fatal(err)
			}
		}
	}
	read() // the comment with which a stream begins, or the peer would always be an event behind
	wish = func() {
		wishes <- struct{}{}
		read()
	}
	return wish, func() { close(wishes) }
}

// TestNoAllocations compares an event sent by a Stream with one written by the ResponseWriter alone.
func TestNoAllocations(t *testing.T) {
	allocations := func(handler func(http.ResponseWriter, *http.Request, <-chan struct{})) float64 {
		wish, done := pairOf(t, handler)
		defer done()
		return testing.AllocsPerRun(1000, wish)
	}
	if bare, observed := allocations(bare(t)), allocations(observed(t, newObserver(t))); observed > bare {
		t.Errorf("%v allocations per event, want the transport's %v", observed, bare)
	}
}
