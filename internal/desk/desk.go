// Package desk is the stack's own start page: whether users are fine and its components are ready, dashboards, which
// alerts reached a person, and what metrics, traces, log records and connections tell.
//
// It stands in for PagerDuty, Slack and a webhook, so that a first start needs no account, for Grafana, and for the
// user interfaces of Prometheus and Jaeger, which a native build does not have.
package desk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/drawing"
	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/desk/pagerduty"
	"github.com/sockscope/sockscope/internal/desk/slack"
	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/desk/webhook"
	"github.com/sockscope/sockscope/internal/logstore"
)

// shutdownTimeout is how long requests under way may still take. A page waits for Jaeger and the log store no longer
// than that.
const shutdownTimeout = 5 * time.Second

// heartbeatCheck is how often the desk looks whether a heartbeat is late.
const heartbeatCheck = 2 * time.Second

// consoleTimeout is how long a live console may take for an answer. It has all of it in memory.
const consoleTimeout = 3 * time.Second

// Config is what a desk needs to know.
type Config struct {
	Components    []status.Component
	Progress      string // file in which a stack tells what it is doing; empty if none does
	PrometheusURL string // Prometheus' API; empty if there is none
	JaegerURL     string // Jaeger's query API; empty if there is none
	// LokiURL or VictoriaLogsURL is the log store's API; both are empty if there is none.
	LokiURL         string
	VictoriaLogsURL string
	JaegerUI        string // Jaeger's user interface; empty if there is none
	// Consoles are the live consoles of services, as in http://127.0.0.1:8080/debug/realtime/.
	Consoles []string
	// Targets are patterns of files that list what is scraped. Targets with the label __console_path__ have their live
	// console there.
	Targets []string
	// Dashboards are folders of Grafana's dashboards. Files of later ones take the place of those of the same name.
	Dashboards []fs.FS
	DataDir    string // where the inbox is kept; empty to keep it in memory
	Logger     *slog.Logger
}

// Desk is the start page and the receivers behind it.
type Desk struct {
	jaegerUI  string
	log       *slog.Logger
	transport *http.Transport
	inbox     *inbox.Inbox
	outages   *outages
	watcher   *status.Watcher
	finder    *tracing.Finder
	metrics   *metrics.Asker
	boards    []*dashboard.Dashboard
	overview  *dashboard.Dashboard
	drawer    *drawing.Drawer
	logs      logstore.Store // nil if there is none
	consoles  consoles
	client    *http.Client // asks the consoles
	teller    *story.Teller
	known     known
	pages     *pages
}

// New returns a desk with the inbox that an earlier one left in the data directory. Close it when it is no longer
// needed.
func New(c Config) (*Desk, error) {
	addresses := []struct{ what, url string }{
		{"Prometheus", c.PrometheusURL}, {"Jaeger", c.JaegerURL}, {"Loki", c.LokiURL}, {"VictoriaLogs", c.VictoriaLogsURL}, {"Jaeger's user interface", c.JaegerUI},
	}
	for _, console := range c.Consoles {
		addresses = append(addresses, struct{ what, url string }{"a live console", console})
	}
	for _, address := range addresses {
		if u, err := url.Parse(address.url); address.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("the address of %s is %q, which is not an http URL", address.what, address.url)
		}
	}
	for _, pattern := range c.Targets {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("the pattern of files of targets is %q: %w", pattern, err)
		}
	}
	if c.LokiURL != "" && c.VictoriaLogsURL != "" {
		return nil, errors.New("there are addresses of Loki and of VictoriaLogs: log records are in one of them")
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	known, err := loadKnown()
	if err != nil {
		return nil, err
	}
	boards, err := drawing.Load(c.Dashboards...)
	if err != nil {
		return nil, err
	}
	overview, err := dashboard.Parse("overview.json", overviewJSON)
	if err != nil {
		return nil, err
	}
	in, err := inbox.Open(c.DataDir, c.Logger)
	if err != nil {
		return nil, err
	}
	// Without a proxy: everything that is asked is part of the stack.
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	var logs logstore.Store
	switch {
	case c.LokiURL != "":
		logs = logstore.Loki(c.LokiURL, transport)
	case c.VictoriaLogsURL != "":
		logs = logstore.VictoriaLogs(c.VictoriaLogsURL, transport)
	}
	client := &http.Client{Transport: transport, Timeout: consoleTimeout}
	live := consoles{c.Consoles, c.Targets}
	asker := metrics.NewAsker(c.PrometheusURL, transport)
	finder := tracing.NewFinder(c.JaegerURL, logs, transport)
	return &Desk{
		jaegerUI:  strings.TrimRight(c.JaegerUI, "/"),
		log:       c.Logger,
		transport: transport,
		inbox:     in,
		outages:   newOutages(),
		watcher:   status.NewWatcher(c.Components, c.Progress, transport),
		metrics:   asker,
		boards:    boards,
		overview:  overview,
		drawer:    &drawing.Drawer{Prometheus: asker, Logs: logs},
		finder:    finder,
		logs:      logs,
		consoles:  live,
		client:    client,
		known:     known,
		teller:    story.NewTeller(finder, logs, live.all, client),
		pages:     pages,
	}, nil
}

// Close releases what the desk holds.
func (d *Desk) Close() error {
	d.transport.CloseIdleConnections()
	return d.inbox.Close()
}

// Handler serves the pages, their JSON and the receivers.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.overviewPage)
	mux.HandleFunc("GET /inbox", d.inboxPage)
	mux.HandleFunc("GET /inbox/{id}", d.notificationPage)
	mux.HandleFunc("GET /trace", d.tracesPage)
	mux.HandleFunc("GET /trace/{id}", d.tracePage)
	mux.HandleFunc("GET /query", d.queryPage)
	mux.HandleFunc("GET /logs", d.logsPage)
	mux.HandleFunc("GET /logs/around", d.aroundPage)
	mux.HandleFunc("GET /connections", d.connectionsPage)
	mux.HandleFunc("GET /connection/{id}", d.connectionPage)
	mux.HandleFunc("GET /dashboards", d.dashboardsPage)
	mux.HandleFunc("GET /dashboard/{uid}", d.dashboardPage)
	mux.HandleFunc("GET /d/{uid}", d.grafanaPage)
	mux.HandleFunc("GET /d/{uid}/{slug}", d.grafanaPage)
	mux.HandleFunc("GET /prometheus/graph", d.graphPage)
	mux.HandleFunc("GET /api/status", d.statusJSON)
	mux.HandleFunc("GET /api/inbox", d.inboxJSON)
	mux.HandleFunc("GET /api/inbox/{id}", d.notificationJSON)
	mux.HandleFunc("GET /api/trace/{id}", d.traceJSON)
	mux.HandleFunc("GET /api/dashboard/{uid}/panel/{id}", d.panelJSON)
	mux.HandleFunc("GET /api/dashboard/{uid}/marks", d.marksJSON)
	mux.HandleFunc("GET /api/overview/{id}", d.overviewPanel)
	mux.HandleFunc("GET /api/overview/marks", d.overviewMarks)
	mux.HandleFunc("GET /api/query", d.queryJSON)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /static/", staticFiles())

	mux.HandleFunc("PUT /api/outages/{receiver}", d.setOutage)
	mux.HandleFunc("DELETE /api/outages/{receiver}", d.endOutage)
	mux.Handle("POST /v2/enqueue", d.outages.around(inbox.PagerDuty, d.inbox, pagerduty.Handler(d.inbox)))
	mux.Handle("POST /services/{team}/{hook}/{token}", d.outages.around(inbox.Slack, d.inbox, slack.Handler(d.inbox)))
	mux.Handle("POST /webhook/{name}", d.outages.around(inbox.Webhook, d.inbox, webhook.Handler(d.inbox)))
	return protect(mux)
}

// watchHeartbeats is the dead man's switch, until the context ends.
func (d *Desk) watchHeartbeats(ctx context.Context) {
	tick := time.NewTicker(heartbeatCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.inbox.CheckHeartbeats()
		case <-ctx.Done():
			return
		}
	}
}

// Serve polls the components and answers requests until the context ends, then lets requests under way finish.
func (d *Desk) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var polling sync.WaitGroup
	polling.Go(func() { d.watcher.Run(ctx) })
	polling.Go(func() { d.watchHeartbeats(ctx) })
	defer polling.Wait()
	defer cancel()

	server := &http.Server{
		Handler:           d.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the desk: %w", err)
	case <-ctx.Done():
	}
	// The context has ended already; shutting down needs one that has not.
	stopping, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer stop()
	err := server.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) {
		err = errors.Join(err, stopped)
	}
	return err
}
