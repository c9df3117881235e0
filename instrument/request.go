package instrument

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// A Request asks for a connection. All fields are optional.
type Request struct {
	// Method is the request's method, such as GET.
	Method string
	// Host is the host that the request is for, with or without a port.
	Host string
	// Path is the path of the requested URL, without the query, which may hold secrets.
	Path string
	// Header holds the trace context that came with the request.
	Header propagation.TextMapCarrier
}

// HTTPRequest returns the Request that r is.
func HTTPRequest(r *http.Request) Request {
	return Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: propagation.HeaderCarrier(r.Header)}
}

// attributes appends the attributes of the handshake's span that describe the request.
func (r *Request) attributes(to []attribute.KeyValue) []attribute.KeyValue {
	host, port := r.Host, ""
	if strings.Contains(r.Host, ":") { // otherwise SplitHostPort would allocate an error
		if h, p, err := net.SplitHostPort(r.Host); err == nil {
			host, port = h, p
		}
	}
	if host != "" {
		to = append(to, semconv.ServerAddress(errs.Bounded(host)))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		to = append(to, semconv.ServerPort(int(n)))
	}
	if r.Method != "" {
		to = append(to, semconv.HTTPRequestMethodKey.String(knownMethod(r.Method)))
	}
	if r.Path != "" {
		to = append(to, semconv.URLPath(errs.Bounded(r.Path)))
	}
	return to
}

// knownMethod returns the method if the semantic conventions know it, and _OTHER otherwise, such as for a method that
// the peer invented.
func knownMethod(method string) string {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
		http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace, "QUERY":
		return method
	default:
		return semconv.HTTPRequestMethodOther.Value.AsString()
	}
}
