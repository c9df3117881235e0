package gobwas

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead compares the headers that are found in a request with those that net/http finds.
func FuzzHead(f *testing.F) {
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nTraceparent: " + traceparent + "\r\nTracestate: a=b\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\ntraceparent:" + traceparent + "\n\nTracestate: not a header",
		"GET http://traceparent: HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\nTraceparent\r\n: \r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		h := head(request)
		_ = h.complete()
		keys := h.Keys()
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		// Lines that continue others are no longer allowed, and ws does not know them either.
		if err != nil || bytes.Contains(request, []byte("\n ")) || bytes.Contains(request, []byte("\n\t")) {
			return
		}
		defer r.Body.Close()
		if !h.complete() {
			t.Error("the request is not complete")
		}
		for name, values := range r.Header {
			if got := h.Get(name); got != values[0] && strings.TrimSpace(values[0]) == got {
				t.Errorf("%s is %q, want %q", name, got, values[0])
			}
		}
		if want := len(r.Header); len(keys) < want {
			t.Errorf("%d keys, want %d: %q", len(keys), want, keys)
		}
	})
}
