package instrument

import (
	"net/http"
	"strings"
)

// IsUpgrade says whether a request asks for a connection that lasts: a WebSocket, over HTTP/1.1 or as an extended
// CONNECT, or a stream of server-sent events, which is asked for by GET. What measures HTTP requests should leave such
// requests out, because their duration is that of the connection and their handshake is measured here.
func IsUpgrade(r *http.Request) bool {
	return hasToken(r.Header["Upgrade"], "websocket") ||
		r.Method == http.MethodConnect && r.Header.Get(":protocol") == "websocket" ||
		r.Method == http.MethodGet && hasToken(r.Header["Accept"], "text/event-stream")
}

// IsNotUpgrade is the opposite of IsUpgrade, in the form of a filter for otelhttp:
//
//	otelhttp.NewHandler(mux, "http", otelhttp.WithFilter(instrument.IsNotUpgrade))
func IsNotUpgrade(r *http.Request) bool { return !IsUpgrade(r) }

// WithoutUpgrades returns a handler that measures only what is a request in the proper sense: measured, which wraps next
// in the middleware of promhttp or any other, gets those, and next itself gets the upgrades.
//
//	http.Handle("/", instrument.WithoutUpgrades(promhttp.InstrumentHandlerDuration(seconds, mux), mux))
func WithoutUpgrades(measured, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsUpgrade(r) {
			next.ServeHTTP(w, r)
			return
		}
		measured.ServeHTTP(w, r)
	})
}

// hasToken looks for a token in the values of a header, which are lists of tokens with parameters.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(name), token) {
				return true
			}
		}
	}
	return false
}
