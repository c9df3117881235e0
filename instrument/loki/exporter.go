package loki

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/urlutil"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// maxPushBytes bounds the lines and the metadata of one push. Loki takes up to 4 MiB.
const maxPushBytes = 1 << 20

// Exporter pushes log records to Loki. Make one with [New].
type Exporter struct {
	url       *url.URL
	transport *http.Transport
	stopped   atomic.Bool
}

var _ sdklog.Exporter = (*Exporter)(nil)

// New returns an exporter that pushes to an address such as http://127.0.0.1:3100/loki/api/v1/push. A name and password
// in the address are sent as basic authentication. New connects to nothing.
func New(pushURL string) (*Exporter, error) {
	u, err := url.Parse(pushURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The address may hold a password, so the error does not have it.
		return nil, errors.New("loki: the address is not a URL such as http://127.0.0.1:3100/loki/api/v1/push")
	}
	e := &Exporter{url: u, transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}}
	client, err := e.newClient(nil) // only to know now that it can be made
	if err != nil {
		return nil, err
	}
	client.Stop()
	return e, nil
}

// Export pushes records and returns when Loki has taken them, or ctx has ended. Records are pushed at once, in pushes
// of at most one mebibyte. If a push is not worth repeating (an answer other than 429 or 5xx), the error, or an error
// that it wraps, has a method Refused() bool that returns true. After a failure Loki may have taken some of the
// records. Loki ignores these if it gets them again.
func (e *Exporter) Export(ctx context.Context, records []sdklog.Record) error {
	if e.stopped.Load() {
		return sdklog.ErrExporterShutdown
	}
	if len(records) == 0 {
		return nil
	}
	// Loki's client returns no errors, makes its callers wait while its server is away, and pushes when it likes. So
	// each export has a client of its own. The client's Stop pushes everything it was given. The transport is ours: it
	// keeps the errors, and answers at once when ctx has ended, so nothing waits longer.
	p := &push{ctx: ctx, base: e.transport}
	client, err := e.newClient(p)
	if err != nil {
		return err
	}
	for _, r := range records {
		entry := newEntry(r)
		_ = client.HandleWithMetadata(entry.labels, entry.time, entry.line, entry.metadata) // always nil
	}
	client.Stop()
	if p.err == nil && !p.pushed {
		return errors.New("loki: the client could not encode the push")
	}
	return p.err
}

// ForceFlush does nothing: an Exporter holds nothing back.
func (e *Exporter) ForceFlush(context.Context) error { return nil }

// Shutdown closes idle connections. Later exports fail.
func (e *Exporter) Shutdown(context.Context) error {
	e.stopped.Store(true)
	e.transport.CloseIdleConnections()
	return nil
}

// newClient starts a client. Its Stop must be called.
func (e *Exporter) newClient(transport http.RoundTripper) (*loki.Client, error) {
	const never = 24 * time.Hour // the transport decides how long a push takes
	client, err := loki.NewWithLogger(loki.Config{
		URL:           urlutil.URLValue{URL: e.url},
		BatchWait:     never,
		BatchSize:     maxPushBytes,
		Timeout:       never,
		BackoffConfig: backoff.BackoffConfig{MaxRetries: 1},
	}, log.NewNopLogger())
	if err != nil {
		return nil, fmt.Errorf("loki: make the client: %w", err)
	}
	// The client has no setting for its transport, so it is put where the client keeps it. The client has no entries
	// yet, so its goroutine does not read the field meanwhile. The module is archived and will have no later version.
	field := reflect.ValueOf(client).Elem().FieldByName("client")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*http.Client]() {
		client.Stop()
		return nil, errors.New("loki: this version of loki-client-go has no HTTP client that could be supervised; use the version in this module's go.mod")
	}
	(*http.Client)(field.UnsafePointer()).Transport = transport
	return client, nil
}
