package demo

import (
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/demo/loopback"
)

// Access says who may use what is not for everybody.
type Access uint8

const (
	// Loopback lets callers on this machine, see loopback.From.
	Loopback Access = iota
	// Open lets everybody who reaches the server.
	Open
	// Off lets nobody.
	Off
)

func (a Access) names() []string { return []string{"loopback", "open", "off"} }

// MarshalText returns loopback, open or off.
func (a Access) MarshalText() ([]byte, error) {
	if int(a) >= len(a.names()) {
		return nil, fmt.Errorf("access %d is not known", a)
	}
	return []byte(a.names()[a]), nil
}

// UnmarshalText reads what MarshalText returns.
func (a *Access) UnmarshalText(text []byte) error {
	for i, name := range a.names() {
		if name == string(text) {
			*a = Access(i)
			return nil
		}
	}
	return fmt.Errorf("give loopback, open or off, not %q", text)
}

// handle has the handler serve the patterns to callers that may use it.
func (a Access) handle(mux *http.ServeMux, h http.Handler, patterns ...string) {
	switch a {
	case Off:
		return
	case Loopback:
		h = loopback.Only(h)
	case Open:
	}
	for _, pattern := range patterns {
		mux.Handle(pattern, h)
	}
}
