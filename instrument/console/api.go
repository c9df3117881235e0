package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument/console/chart"
)

//go:embed page
var page embed.FS

// policy lets the page use only its own style sheet and scripts.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// api is the prefix of the JSON API's paths.
const api = "/api/v1/"

// ServeHTTP serves the page and the API below the path where the console is mounted. That path must end with a slash.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case !c.config.AllowRemote && !local(r):
		http.Error(w, "The console answers requests from this machine only. To see it from elsewhere, use a tunnel "+
			"(ssh -L), or set console.Config.AllowRemote and put authentication in front of it.", http.StatusForbidden)
	case r.Method == http.MethodPost && c.config.AllowClose:
		c.serveClose(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "The console is read-only.", http.StatusMethodNotAllowed)
	default:
		if i := strings.LastIndex(r.URL.Path, api); i >= 0 {
			c.serveAPI(w, r, r.URL.Path[i+len(api):])
			return
		}
		c.servePage(w, r)
	}
}

// local says whether the request comes from a person at this machine: from a loopback address, not through a proxy, and
// to a host name that no other page can have made to point here (DNS rebinding).
func local(r *http.Request) bool {
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(forwarded) != "" {
			return false
		}
	}
	return loopback(r.RemoteAddr) && (loopback(r.Host) || hostname(r.Host) == "localhost")
}

func loopback(address string) bool {
	ip := net.ParseIP(hostname(address))
	return ip != nil && ip.IsLoopback()
}

func hostname(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

func (c *Console) servePage(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") || r.URL.Path == "" {
		name = "index.html"
	}
	content, err := fs.ReadFile(page, "page/"+name)
	if errors.Is(err, fs.ErrNotExist) {
		content, err = fs.ReadFile(chart.Files(), name)
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if name == "index.html" {
		body := fmt.Sprintf("<body data-trace-url=\"%s\" data-story-url=\"%s\" data-allow-close=\"%t\">",
			html.EscapeString(c.config.TraceURL), html.EscapeString(c.config.StoryURL), c.config.AllowClose)
		content = bytes.Replace(content, []byte("<body>"), []byte(body), 1)
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = w.Write(content)
}

func (c *Console) serveAPI(w http.ResponseWriter, r *http.Request, what string) {
	now := time.Now()
	switch resource, id, _ := strings.Cut(what, "/"); {
	case resource == "connections" && id != "":
		c.serveConnection(w, id, now)
	case what == "connections":
		c.serveConnections(w, r, now)
	case what == "series":
		c.sampler.sample(c.observed(), now)
		since, err := time.Parse(time.RFC3339Nano, r.FormValue("since"))
		if err != nil && r.FormValue("since") != "" {
			http.Error(w, "since is a time as in 2026-01-02T15:04:05Z", http.StatusBadRequest)
			return
		}
		writeJSON(w, Series{c.config.Service, c.instance, c.sampler.since(since)})
	case what == "records":
		c.serveRecords(w, r)
	case what == "traces":
		writeJSON(w, Traces{c.config.Service, c.instance, c.spans.traces(defaultLimit, r.FormValue("all") != "")})
	case what == "findings":
		writeJSON(w, Findings{c.config.Service, c.instance, c.find(now)})
	case what == "events":
		c.serveEvents(w, r)
	default:
		http.Error(w, "There is no such resource. Its documentation is that of package console.", http.StatusNotFound)
	}
}

func (c *Console) serveConnections(w http.ResponseWriter, r *http.Request, now time.Time) {
	q, err := parse(r.FormValue)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	found := c.tables.table(c.observed(), q, now)
	writeJSON(w, Connections{
		Service: c.config.Service, Instance: c.instance, Time: found.at,
		Open: found.survey.open, Matching: found.matching, Connections: found.rows,
	})
}

// Story is the answer of api/v1/connections/{id}: everything known about one connection, even after its end.
type Story struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	// Connection is nil once it is closed.
	Connection *Connection `json:"connection,omitempty"`
	Records    []Record    `json:"records"` // newest first
	Spans      []Span      `json:"spans"`   // newest first
}

func (c *Console) serveConnection(w http.ResponseWriter, id string, now time.Time) {
	const most = 200
	story := Story{
		Service: c.config.Service, Instance: c.instance,
		Records: c.records.list(most, func(r *Record) bool { return r.connection() == id }, Kinds()...),
		Spans:   c.spans.list(most, func(s *Span) bool { return s.Attributes["connection.id"] == id }),
	}
	if conn := connection(c.observed(), id); conn != nil {
		row := newConnection(conn, conn.Stats(), now)
		story.Connection = &row
	}
	if story.Connection == nil && len(story.Records) == 0 && len(story.Spans) == 0 {
		http.Error(w, "No connection of that id is open here, and no record of it is left.", http.StatusNotFound)
		return
	}
	writeJSON(w, story)
}

// serveClose answers POST api/v1/connections/{id}/close.
func (c *Console) serveClose(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "Only the console's own page may close connections.", http.StatusForbidden)
		return
	}
	_, what, _ := strings.Cut(r.URL.Path, api+"connections/")
	id, closes := strings.CutSuffix(what, "/close")
	if !closes || id == "" {
		http.Error(w, "To close a connection, post to api/v1/connections/{id}/close.", http.StatusNotFound)
		return
	}
	conn := connection(c.observed(), id)
	if conn == nil {
		http.Error(w, "No connection of that id is open here.", http.StatusNotFound)
		return
	}
	if !conn.Drain() {
		http.Error(w, "The connection is closing already, or its transport can't be told to close.", http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (c *Console) serveRecords(w http.ResponseWriter, r *http.Request) {
	kinds := Kinds()
	if kind := r.FormValue("kind"); kind != "" {
		if _, known := c.records.rings[Kind(kind)]; !known {
			http.Error(w, "kind is one of opened, closed, message, trouble, other", http.StatusBadRequest)
			return
		}
		kinds = []Kind{Kind(kind)}
	}
	all := func(*Record) bool { return true }
	writeJSON(w, Records{c.config.Service, c.instance, c.records.list(defaultRecords, all, kinds...)})
}

// find takes a sample and returns what looks wrong.
func (c *Console) find(now time.Time) []Finding {
	observers := c.observed()
	c.sampler.sample(observers, now)
	closedSince := now.Add(-10 * time.Minute)
	e := evidence{
		survey:  c.tables.recent(observers, now),
		samples: c.sampler.since(now.Add(-recent)),
		closed: c.records.list(c.config.Records, func(r *Record) bool { return r.Time.After(closedSince) },
			KindClosed),
		now: now,
	}
	return e.findings()
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // a viewer who has left needs no answer
}
