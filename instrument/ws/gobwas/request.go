package gobwas

import (
	"bytes"
	"context"
	"net"
	"net/http"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// maxHead is the number of bytes of a request that are searched for its host and trace context.
const maxHead = 4096

// A request is a connection while ws reads an upgrade request from it and answers it. It passes everything on, and
// begins the handshake as soon as the headers are there, or when ws has seen enough.
type request struct {
	net.Conn
	observer  *instrument.Observer
	head      head
	begun     bool
	handshake *instrument.Handshake
	answered  bool
}

func (r *request) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if !r.begun {
		r.head = append(r.head, p[:min(n, maxHead-len(r.head))]...)
		if len(r.head) == maxHead || r.head.complete() {
			r.begin()
		}
	}
	return n, err
}

func (r *request) Write(p []byte) (int, error) {
	r.answered = true
	return r.Conn.Write(p)
}

func (r *request) begin() *instrument.Handshake {
	if !r.begun {
		r.begun = true
		r.observer.ExpectProtocol(handshake.WebSocket)
		_, r.handshake = r.observer.BeginHandshake(context.Background(), instrument.Request{Method: http.MethodGet, Host: r.head.Get("Host"), Header: r.head})
	}
	return r.handshake
}

// head is a request line and headers. It is the carrier of the trace context among them.
type head []byte

var _ propagation.TextMapCarrier = head(nil)

func (h head) complete() bool {
	return bytes.Contains(h, []byte("\n\r\n")) || bytes.Contains(h, []byte("\n\n"))
}

// Get returns the value of the first header of that name.
func (h head) Get(name string) string {
	for key, value := range h.headers {
		if bytes.EqualFold(key, []byte(name)) {
			return string(value)
		}
	}
	return ""
}

// Keys lists the names of the headers.
func (h head) Keys() []string {
	var keys []string
	for key := range h.headers {
		keys = append(keys, string(key))
	}
	return keys
}

// Set does nothing: the request is the peer's.
func (h head) Set(string, string) {}

// headers are the lines between the first and an empty one.
func (h head) headers(yield func(key, value []byte) bool) {
	_, lines, _ := bytes.Cut(h, []byte("\n"))
	for line := range bytes.Lines(lines) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && !yield(key, bytes.TrimSpace(value)) {
			return
		}
	}
}
