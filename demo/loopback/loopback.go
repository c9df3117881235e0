// Package loopback tells who calls from this machine, for what nobody else may do.
package loopback

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sockscope/sockscope/demo/reply"
)

// From reports whether a request comes from this machine and calls it by its loopback address or as localhost. A page
// on the web that makes its own name point here does not, and neither does who comes through a proxy on this machine,
// which has to say for whom it asks by X-Forwarded-For, X-Real-IP or Forwarded.
func From(r *http.Request) bool {
	if !is(r.RemoteAddr) || !is(r.Host) || len(r.Header.Values("Forwarded")) > 0 {
		return false
	}
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP"} {
		for _, value := range r.Header.Values(header) {
			for addr := range strings.SplitSeq(value, ",") {
				if !is(strings.TrimSpace(addr)) {
					return false
				}
			}
		}
	}
	return true
}

// Only lets the callers through that From is true of, and answers the others 403.
func Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if From(r) {
			next.ServeHTTP(w, r)
			return
		}
		reply.Refuse(w, http.StatusForbidden, "this is for callers on this machine only, by its loopback address")
	})
}

func is(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
