// Package browser has a JavaScript module for web pages: a client of WebSockets and event streams that reconnects,
// notices silence and gaps, measures round trips, and begins traces that the server continues. It is to pages what
// package client is to programs. See docs/browser.md.
//
// The module has no dependencies and no build step. Install it by npm, or serve it from your own program by [Files].
//
// A page can't set the headers of a WebSocket's handshake or of an event stream. So the module says in the query what
// belongs there, and [Headers] on the server puts it back:
//
//	mux.Handle("GET /browser/", http.StripPrefix("/browser/", http.FileServerFS(browser.Files())))
//	mux.Handle("GET /ws", browser.Headers(ws.Handler(observer, chat)))
package browser

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed *.js
var modules embed.FS

// Files returns the JavaScript modules. Pages import index.js, which imports the others. Serve all of them in one
// folder as text/javascript. They need no more than script-src 'self', and in connect-src the endpoint of traces.
func Files() fs.FS { return modules }

// Headers moves the query parameters traceparent, tracestate and last-event-id into the request's headers, unless it
// has these headers already. Put it around the handlers of WebSockets and event streams, outside of what observes them.
// The page's trace context is then treated like any other peer's: it is linked, or continued if the peer is trusted.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, withHeaders(r))
	})
}

// withHeaders returns r itself if it has nothing to move.
func withHeaders(r *http.Request) *http.Request {
	if r.URL.RawQuery == "" {
		return r
	}
	query, moved := r.URL.Query(), r
	for _, name := range []string{"traceparent", "tracestate", "last-event-id"} {
		if !query.Has(name) {
			continue
		}
		if moved == r {
			moved = r.Clone(r.Context())
		}
		if value := query.Get(name); moved.Header.Get(name) == "" && !strings.ContainsAny(value, "\r\n\x00") {
			moved.Header.Set(name, value)
		}
		query.Del(name)
		moved.URL.RawQuery = query.Encode()
	}
	return moved
}
