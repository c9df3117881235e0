package desk

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/drawing"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// drawingTimeout is how long the queries of one panel may take together.
const drawingTimeout = 15 * time.Second

// maxChoices bounds how many values of variables an address may have.
const maxChoices = 500

// ranges are the ranges of time that a click chooses, in the words of the API.
func ranges() []string {
	return []string{"5m", "15m", "30m", "1h", "3h", "6h", "12h", "24h", "7d"}
}

// refreshes are the lengths of time after which a page asks again.
func refreshes() []string { return []string{"off", "5s", "10s", "30s", "1m", "5m"} }

// dashboardsData is what the list of dashboards shows.
type dashboardsData struct{ Boards []*dashboard.Dashboard }

func (d *Desk) dashboardsPage(w http.ResponseWriter, _ *http.Request) {
	d.show(w, http.StatusOK, "dashboards", page{Title: "Dashboards", Section: "dashboards", Data: dashboardsData{d.boards}})
}

// board finds a dashboard by its uid.
func (d *Desk) board(uid string) *dashboard.Dashboard {
	i := slices.IndexFunc(d.boards, func(b *dashboard.Dashboard) bool { return b.UID == uid })
	if i < 0 {
		return nil
	}
	return d.boards[i]
}

// timeData are the controls of the range of time.
type timeData struct {
	From, To  string
	Refresh   string
	Ranges    []string
	Refreshes []string
}

// dashboardData is what the page of a dashboard shows. The panels' data is asked for by the page itself.
type dashboardData struct {
	UID, Title, Description string
	Time                    timeData
	Controls                []drawing.Control
	Links                   []dashboard.Link
	Rows                    []rowData
	Whole                   string // address of the whole dashboard, if this is one panel of it
	Marks                   string // address of what is marked
	Problem                 string
	Awaited                 string
}

type rowData struct {
	ID        int
	Title     string
	Collapsed bool
	Panels    []panelData
}

type panelData struct {
	ID                       int
	Kind, Title, Description string
	X, W, H                  int
	Text                     string // Markdown
	Source                   string // address of its data
	Alone                    string // address of this panel by itself
	Links                    []dashboard.Link
}

// view reads an address of a dashboard: the range of time, and the values of variables.
func (d *Desk) view(board *dashboard.Dashboard, query url.Values) (*drawing.View, timeData, error) {
	times := times(board, query)
	span, err := dashboard.ParseSpan(times.From, times.To, time.Now())
	if err != nil {
		return nil, times, err
	}
	chosen, count := make(map[string][]string), 0
	for name, values := range query {
		if variable, ok := strings.CutPrefix(name, "var-"); ok {
			chosen[variable] = values
			count += len(values)
		}
	}
	if count > maxChoices {
		return nil, times, fmt.Errorf("%d values of variables are chosen: at most %d may be", count, maxChoices)
	}
	return d.drawer.View(board, span, chosen), times, nil
}

// times are the controls of time as an address sets them.
func times(board *dashboard.Dashboard, query url.Values) timeData {
	t := timeData{
		From: cmp.Or(query.Get("from"), board.Time.From, "now-1h"), To: cmp.Or(query.Get("to"), board.Time.To, "now"),
		Refresh: cmp.Or(query.Get("refresh"), board.Refresh, "off"), Ranges: ranges(), Refreshes: refreshes(),
	}
	if !slices.Contains(t.Refreshes, t.Refresh) {
		t.Refresh = "off"
	}
	return t
}

func (d *Desk) dashboardPage(w http.ResponseWriter, r *http.Request) {
	board := d.board(r.PathValue("uid"))
	if board == nil {
		d.problem(w, http.StatusNotFound, "dashboards", "No such dashboard", "The desk draws those that are shipped.")
		return
	}
	query := r.URL.Query()
	view, times, err := d.view(board, query)
	data := dashboardData{
		UID: board.UID, Title: board.Title, Description: board.Description, Time: times, Awaited: d.awaited("prometheus"),
		Marks: "/api/dashboard/" + board.UID + "/marks",
	}
	if err != nil {
		data.Problem = err.Error()
		d.show(w, http.StatusBadRequest, "dashboard", page{Title: board.Title, Section: "dashboards", Wide: true, Script: "dashboard.js", Data: data})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), drawingTimeout)
	defer cancel()
	data.Controls = view.Controls(ctx)
	data.Links = d.boardLinks(board, query)
	wanted := query.Get("viewPanel")
	data.Rows = rows(ctx, view, board, query, wanted)
	if wanted != "" {
		query.Del("viewPanel")
		data.Whole = boardPath(board.UID, query)
	}
	d.show(w, http.StatusOK, "dashboard", page{Title: board.Title, Section: "dashboards", Wide: true, Script: "dashboard.js", Data: data})
}

func boardPath(uid string, query url.Values) string {
	if len(query) == 0 {
		return "/dashboard/" + url.PathEscape(uid)
	}
	return "/dashboard/" + url.PathEscape(uid) + "?" + query.Encode()
}

// boardLinks are the links of a dashboard, those to others among them.
func (d *Desk) boardLinks(board *dashboard.Dashboard, query url.Values) []dashboard.Link {
	var links []dashboard.Link
	for _, l := range board.Links {
		if l.Type != "dashboards" {
			if address := deskAddress(l.URL); address != "" {
				links = append(links, dashboard.Link{Title: l.Title, URL: address})
			}
			continue
		}
		for _, other := range d.boards {
			if other.UID == board.UID || !slices.ContainsFunc(l.Tags, func(tag string) bool { return slices.Contains(other.Tags, tag) }) {
				continue
			}
			kept := url.Values{}
			for name, values := range query {
				if strings.HasPrefix(name, "var-") || name == "from" || name == "to" {
					kept[name] = values
				}
			}
			links = append(links, dashboard.Link{Title: other.Title, URL: boardPath(other.UID, kept)})
		}
	}
	return links
}

// deskAddress is where a link of a dashboard leads to at the desk, empty if the desk can't follow it.
func deskAddress(address string) string {
	if rest, ok := strings.CutPrefix(address, "/d/"); ok {
		address = "/dashboard/" + rest
	}
	if strings.Contains(address, "${") {
		return "" // it is one for Grafana, which fills it in
	}
	return drawing.Address(address)
}

// rows are the rows of a dashboard with their panels, or one with the wanted panel.
func rows(ctx context.Context, view *drawing.View, board *dashboard.Dashboard, query url.Values, wanted string) []rowData {
	list := []rowData{{}}
	add := func(panels []dashboard.Panel) {
		panels = slices.Clone(panels)
		slices.SortStableFunc(panels, func(a, b dashboard.Panel) int {
			return cmp.Or(cmp.Compare(a.Grid.Y, b.Grid.Y), cmp.Compare(a.Grid.X, b.Grid.X))
		})
		for _, p := range panels {
			list[len(list)-1].Panels = append(list[len(list)-1].Panels, panelOf(ctx, view, board, p, query))
		}
	}
	if wanted != "" {
		// Grafana writes panel-7, too.
		id, _ := strconv.Atoi(strings.TrimPrefix(wanted, "panel-"))
		if p, ok := board.Panel(id); ok {
			p.Grid = dashboard.Grid{W: 24, H: 16}
			add([]dashboard.Panel{p})
		}
		return list
	}
	panels := slices.Clone(board.Panels)
	slices.SortStableFunc(panels, func(a, b dashboard.Panel) int {
		return cmp.Or(cmp.Compare(a.Grid.Y, b.Grid.Y), cmp.Compare(a.Grid.X, b.Grid.X))
	})
	for _, p := range panels {
		if p.Type == "row" {
			list = append(list, rowData{ID: p.ID, Title: view.Text(ctx, p.Title), Collapsed: p.Collapsed})
			add(p.Panels)
			continue
		}
		add([]dashboard.Panel{p})
	}
	if len(list[0].Panels) == 0 {
		list = list[1:]
	}
	return list
}

func panelOf(ctx context.Context, view *drawing.View, board *dashboard.Dashboard, p dashboard.Panel, query url.Values) panelData {
	alone := url.Values{}
	for name, values := range query {
		alone[name] = values
	}
	alone.Set("viewPanel", strconv.Itoa(p.ID))
	data := panelData{
		ID: p.ID, Kind: p.Type, Title: view.Text(ctx, p.Title), Description: p.Description,
		X: max(0, min(p.Grid.X, 23)) + 1, W: max(1, min(p.Grid.W, 24)), H: max(2, min(p.Grid.H, 30)),
		Source: fmt.Sprintf("/api/dashboard/%s/panel/%d", url.PathEscape(board.UID), p.ID), Alone: boardPath(board.UID, alone),
	}
	if p.Type == "text" {
		data.Text = view.Text(ctx, p.Options.Content)
	}
	for _, l := range p.Links {
		if address := deskAddress(view.Text(ctx, l.URL)); address != "" {
			data.Links = append(data.Links, dashboard.Link{Title: cmp.Or(l.Title, "Link"), URL: address})
		}
	}
	return data
}

// grafanaPage answers where a link to a dashboard of Grafana's leads when the stack has no Grafana: with the same
// dashboard at the desk.
func (d *Desk) grafanaPage(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, boardPath(r.PathValue("uid"), r.URL.Query()), http.StatusSeeOther)
}

func (d *Desk) panelJSON(w http.ResponseWriter, r *http.Request) {
	board := d.board(r.PathValue("uid"))
	if board == nil {
		writeError(w, http.StatusNotFound, "there is no such dashboard")
		return
	}
	id, err := strconv.Atoi(r.PathValue("id"))
	p, ok := board.Panel(id)
	if err != nil || !ok {
		writeError(w, http.StatusNotFound, "the dashboard has no such panel")
		return
	}
	d.draw(w, r, board, p)
}

// draw writes a panel for the page.
func (d *Desk) draw(w http.ResponseWriter, r *http.Request, board *dashboard.Dashboard, p dashboard.Panel) {
	query := r.URL.Query()
	view, _, err := d.view(board, query)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	points, err := strconv.Atoi(cmp.Or(query.Get("points"), "300"))
	if err != nil {
		writeError(w, http.StatusBadRequest, "points is a number")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), drawingTimeout)
	defer cancel()
	writeJSON(w, http.StatusOK, view.Panel(ctx, p, points))
}

func (d *Desk) marksJSON(w http.ResponseWriter, r *http.Request) {
	board := d.board(r.PathValue("uid"))
	if board == nil {
		writeError(w, http.StatusNotFound, "there is no such dashboard")
		return
	}
	d.mark(w, r, board)
}

// overviewMarks answers what is marked in the charts of the start page.
func (d *Desk) overviewMarks(w http.ResponseWriter, r *http.Request) { d.mark(w, r, d.overview) }

// mark writes what a dashboard marks in its charts.
func (d *Desk) mark(w http.ResponseWriter, r *http.Request, board *dashboard.Dashboard) {
	view, _, err := d.view(board, r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), drawingTimeout)
	defer cancel()
	marks, err := view.Marks(ctx)
	answer := struct {
		Marks   []drawing.Mark `json:"marks"`
		Problem string         `json:"problem,omitempty"`
	}{Marks: append([]drawing.Mark{}, marks...)}
	if err != nil {
		answer.Problem = err.Error()
	}
	writeJSON(w, http.StatusOK, answer)
}

// queryJSON draws the graph of one expression.
func (d *Desk) queryJSON(w http.ResponseWriter, r *http.Request) {
	expr := r.URL.Query().Get("query")
	if expr == "" || len(expr) > metrics.MaxQuery {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("query has 1 to %d bytes", metrics.MaxQuery))
		return
	}
	p := dashboard.Panel{Type: "timeseries", Targets: []dashboard.Target{{Ref: "A", Datasource: &dashboard.Datasource{Type: "prometheus"}, Expr: expr}}}
	d.draw(w, r, &dashboard.Dashboard{}, p)
}
