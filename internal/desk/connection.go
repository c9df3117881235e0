package desk

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/top"
)

const (
	// maxConnections is how many rows the table of connections has.
	maxConnections = 100
	// jumps is how many links lead into a long story.
	jumps = 10
)

// connectionsData is what the page of all live connections shows.
type connectionsData struct {
	top.View
	Found    []finding // those of all instances together
	Sort     console.Sort
	Sorts    []console.Sort
	Search   string
	Consoles int    // addresses that are known
	Problem  string // with the files that name them
}

func (d *Desk) connectionsPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if id := strings.TrimSpace(query.Get("id")); id != "" {
		http.Redirect(w, r, connectionPath(id), http.StatusSeeOther)
		return
	}
	addresses, err := d.consoles.all()
	data := connectionsData{Sort: console.SortBehind, Sorts: console.Sorts(), Search: query.Get("q"), Consoles: len(addresses)}
	if err != nil {
		data.Problem = err.Error()
	}
	if sort := console.Sort(query.Get("sort")); slices.Contains(data.Sorts, sort) {
		data.Sort = sort
	}
	// An error is about an instance, and said there.
	data.View, _ = top.Look(r.Context(), top.Options{
		Consoles: addresses, Sort: data.Sort, Limit: maxConnections, Search: data.Search, Client: d.client,
	})
	data.Found = together(data.Findings)
	d.show(w, http.StatusOK, "connections", page{Title: "Connections", Section: "connections", Refresh: 3, Data: data})
}

// connectionData is what the page of one connection's story shows.
type connectionData struct{ story.Story }

// Beginning and End are the addresses of the first part in both orders.
func (d connectionData) Beginning() string { return connectionPath(d.ID) }

// End is the address of the newest part.
func (d connectionData) End() string { return connectionPath(d.ID) + "?order=newest" }

// Logs is the address of its log records, which the page follows while the connection is open.
func (d connectionData) Logs() string {
	return logsForm{Connection: d.ID, period: period{Range: "168h"}, Follow: d.Live != nil}.path()
}

// NextPart is the address of the next part, empty if this is the last.
func (d connectionData) NextPart() string {
	if d.Last() {
		return ""
	}
	return d.part(d.Next)
}

// BackPart is the address of what this part left behind, in the other order. It is empty for the first part.
func (d connectionData) BackPart() string {
	if d.Part.From.IsZero() {
		return ""
	}
	return d.part(d.Back())
}

// part is the address of a part.
func (d connectionData) part(p story.Part) string {
	query := url.Values{"from": {strconv.FormatInt(p.From.UnixNano(), 10)}, "beside": {strconv.FormatInt(p.Beside, 10)}}
	if p.Newest {
		query.Set("order", "newest")
	}
	return connectionPath(d.ID) + "?" + query.Encode()
}

// jump is a link to a time in the life of a connection.
type jump struct {
	Time time.Time
	Path string
	Here bool // the part that is shown begins there, or later but before the next jump
}

// Jumps are links into all of a long story, in equal steps of time. A story that is there as a whole has none.
func (d connectionData) Jumps(now time.Time) []jump {
	end := now
	if !d.Closed.IsZero() {
		end = d.Closed
	}
	step := end.Sub(d.Opened) / jumps
	if d.Whole || d.Opened.IsZero() || step <= 0 {
		return nil
	}
	var list []jump
	for i := range jumps {
		at := d.Opened.Add(time.Duration(i) * step)
		list = append(list, jump{
			Time: at, Path: d.part(story.Part{From: at}),
			Here: !d.Part.Newest && !d.Part.From.Before(at) && d.Part.From.Before(at.Add(step)),
		})
	}
	return list
}

func (d *Desk) connectionPage(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := story.CheckID(id); err != nil {
		d.problem(w, http.StatusBadRequest, "connections", "That is not the id of a connection", "In its address, "+err.Error()+".")
		return
	}
	part := story.Part{Newest: r.URL.Query().Get("order") == "newest"}
	if from := r.URL.Query().Get("from"); from != "" {
		nanos, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			d.problem(w, http.StatusBadRequest, "connections", "There is no such part of the story", "In its address, from is a time in nanoseconds since 1970.")
			return
		}
		part.From = time.Unix(0, nanos).UTC()
		// Without it, fewer messages are known to have no span.
		part.Beside, _ = strconv.ParseInt(r.URL.Query().Get("beside"), 10, 64)
	}
	told := d.teller.Tell(r.Context(), id, part)
	p := page{Title: "Connection " + id[:min(len(id), 8)], Section: "connections", Data: connectionData{told}}
	code := http.StatusOK
	switch {
	case told.Found():
	case len(told.Problems) > 0:
		code = http.StatusBadGateway
	default:
		code = http.StatusNotFound
	}
	if part.From.IsZero() && (told.Live != nil || code == http.StatusNotFound) {
		p.Refresh = 5 // while it goes on, or until records of it arrive
	}
	d.show(w, code, "connection", p)
}

// connectionPath is the address of a connection's story.
func connectionPath(id string) string { return "/connection/" + url.PathEscape(id) }

// isConnection tells whether a span's attribute or a record's field has the id of a connection.
func isConnection(key string) bool { return key == "connection.id" || key == "connection_id" }

// secondsWords says a number of seconds in words, and a dash for none.
func secondsWords(seconds any) string {
	var s float64
	switch v := seconds.(type) {
	case float64:
		s = v
	case *float64:
		if v == nil {
			return "–"
		}
		s = *v
	}
	return duration(time.Duration(s * float64(time.Second)).Truncate(time.Microsecond))
}

// perSecond says a rate in words, and a dash for none.
func perSecond(rate *float64) string {
	if rate == nil {
		return "–"
	}
	return digits(*rate)
}

// bytesWords says a number of bytes in words.
func bytesWords(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v := float64(n) / 1024
	for _, unit := range []string{"KiB", "MiB"} {
		if v < 1024 {
			return digits(v) + " " + unit
		}
		v /= 1024
	}
	return digits(v) + " GiB"
}
