package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sockscope/sockscope/instrument/console/chart"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/desk/tracing"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFS embed.FS

// staticFiles serves the style sheet, the scripts and the icon.
func staticFiles() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", http.FileServerFS(staticFS))
	charts := http.StripPrefix("/static/", http.FileServerFS(chart.Files()))
	for _, module := range []string{"chart.js", "plot.js", "pointer.js", "raster.js", "scale.js"} {
		mux.Handle("GET /static/"+module, charts)
	}
	return mux
}

// pages are the parsed templates, by name.
type pages struct {
	byName map[string]*template.Template
}

func newPages() (*pages, error) {
	p := &pages{map[string]*template.Template{}}
	for _, name := range []string{"overview", "inbox", "notification", "query", "traces", "trace", "logs", "around", "connections", "connection", "dashboards", "dashboard", "problem"} {
		t, err := template.New("layout.html").Funcs(formats()).
			ParseFS(templateFiles, "templates/layout.html", "templates/waterfall.html", "templates/record.html", "templates/panel.html", "templates/form.html", "templates/findings.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse the page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	return p, nil
}

// page is what every template gets.
type page struct {
	Title   string
	Section string // the entry of the navigation to mark
	Script  string // a module of the page's own
	Wide    bool   // the page takes the whole width
	Refresh int    // seconds after which the page renews itself; 0 is never
	Now     time.Time
	Open    int // open alerts, for the navigation
	Data    any
}

// render writes a page once it is complete, so that a failure is not half a page.
func (p *pages) render(name string, data page) ([]byte, error) {
	var buf bytes.Buffer
	if err := p.byName[name].Execute(&buf, data); err != nil {
		return nil, fmt.Errorf("render the page %s: %w", name, err)
	}
	return buf.Bytes(), nil
}

func (d *Desk) show(w http.ResponseWriter, code int, name string, data page) {
	data.Now = time.Now()
	data.Open = len(d.inbox.View().Open)
	html, err := d.pages.render(name, data)
	if err != nil {
		d.log.Error("a page could not be rendered", "error", err)
		http.Error(w, "the page could not be rendered; the desk's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	// An error here is the reader's loss of connection: there is nobody to tell.
	_, _ = w.Write(html)
}

// inboxData is what the inbox shows.
type inboxData struct {
	inbox.View
	Outages map[inbox.Source]int // status codes that receivers were told to answer
}

func (d *Desk) inboxPage(w http.ResponseWriter, _ *http.Request) {
	d.show(w, http.StatusOK, "inbox", page{Title: "Inbox", Section: "inbox", Refresh: 3, Data: inboxData{d.inbox.View(), d.outages.all()}})
}

func (d *Desk) notificationPage(w http.ResponseWriter, r *http.Request) {
	n, err := d.inbox.Notification(r.PathValue("id"))
	if err != nil {
		d.problem(w, http.StatusNotFound, "inbox", "No such notification",
			"The inbox does not have it, or newer notifications have displaced it.")
		return
	}
	d.show(w, http.StatusOK, "notification", page{Title: "Notification", Section: "inbox", Data: n})
}

// problemData is what the problem page shows.
type problemData struct{ Heading, Text string }

func (d *Desk) problem(w http.ResponseWriter, code int, section, heading, text string) {
	d.show(w, code, "problem", page{Title: heading, Section: section, Data: problemData{heading, text}})
}

func (d *Desk) malformed(w http.ResponseWriter, err error) {
	d.problem(w, http.StatusBadRequest, "trace", "That is not a trace id", "In its address, "+err.Error()+".")
}

// traceData is what the page of one trace shows.
type traceData struct {
	tracing.View
	JaegerUI string // address of the trace there, if there is such a page
	// Why there are no spans, or no log records, yet.
	Awaited, LogsAwaited string
}

// queryData is what the page of metrics shows.
type queryData struct {
	Query     string // of the reader's own; empty for the overview
	About     string // what the overview is restricted to
	Answers   []metrics.Answer
	Awaited   string // why there are no answers yet
	MaxLength int
	Time      timeData // of the graph
}

func (d *Desk) queryPage(w http.ResponseWriter, r *http.Request) {
	job, namespace := r.FormValue("job"), r.FormValue("namespace")
	data := queryData{Query: r.FormValue("query"), MaxLength: metrics.MaxQuery}
	questions := metrics.Overview(job, namespace)
	if data.Query != "" {
		questions = []metrics.Question{{Title: "Result", Query: data.Query}}
	}
	if len(data.Query)+len(job)+len(namespace) > metrics.MaxQuery {
		d.problem(w, http.StatusBadRequest, "query", "The query is too long", fmt.Sprintf("At most %d bytes are asked.", metrics.MaxQuery))
		return
	}
	switch {
	case job != "" && namespace != "":
		data.About = job + ", " + namespace
	default:
		data.About = job + namespace
	}
	if data.Awaited = d.awaited("prometheus"); data.Awaited == "" {
		data.Answers = d.metrics.Ask(r.Context(), questions)
	}
	p := page{Title: "Query", Section: "query", Refresh: 5, Data: data}
	if data.Query != "" {
		data.Time = times(&dashboard.Dashboard{}, r.URL.Query())
		p.Script, p.Data = "dashboard.js", data
	}
	d.show(w, http.StatusOK, "query", p)
}

// awaited says what is being done about a component that has never been ready, and is empty if it has. A component has
// one of the names.
func (d *Desk) awaited(names ...string) string {
	for _, r := range d.watcher.Reports() {
		if slices.Contains(names, r.Name) && r.Pending() {
			text := r.Title + " is not there yet: " + string(r.State)
			if r.Detail != "" {
				text += " (" + r.Detail + ")"
			}
			return text + "."
		}
	}
	return ""
}

// graphPage answers where an alert's link to the graph of its expression leads when Prometheus has no pages: with what
// the expression gives now.
func (d *Desk) graphPage(w http.ResponseWriter, r *http.Request) {
	target := url.URL{Path: "/query"}
	if query := r.FormValue("g0.expr"); query != "" {
		target.RawQuery = url.Values{"query": {query}}.Encode()
	}
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

func (d *Desk) tracePage(w http.ResponseWriter, r *http.Request) {
	id, err := tracing.ParseID(r.PathValue("id"))
	if err != nil {
		d.malformed(w, err)
		return
	}
	view := d.finder.Find(r.Context(), id)
	data := traceData{View: view}
	if d.jaegerUI != "" {
		data.JaegerUI = d.jaegerUI + "/trace/" + id
	}
	code := traceStatus(view)
	data.Awaited, data.LogsAwaited = d.awaited("jaeger"), d.awaited("loki", "victoria-logs")
	if data.Awaited != "" {
		code = http.StatusOK
	}
	p := page{Title: "Trace " + id[:8], Section: "trace", Data: data}
	if code == http.StatusNotFound || data.Awaited != "" || data.LogsAwaited != "" {
		p.Refresh = 3 // until its spans have arrived
	}
	d.show(w, code, "trace", p)
}
