package drawing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/logstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hostile = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e"

// start is a multiple of every step that is used here.
const start = 1_800_000_000

// prometheus answers queries from a table, by the path's last part and the query.
func prometheus(t *testing.T, answers map[string]string) *metrics.Asker {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		key := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:] + " " + r.FormValue("query") + r.FormValue("match[]")
		data, ok := answers[strings.TrimSpace(key)]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			text, err := json.Marshal("not asked for: " + key)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"status":"error","error":%s}`, text)
			return
		}
		fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(server.Close)
	return metrics.NewAsker(server.URL, &http.Transport{DisableKeepAlives: true})
}

// matrix is an answer with the series, of which each has the values in turn, one every five seconds.
func matrix(series ...string) string {
	return `{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}`
}

func line(labels string, values ...string) string {
	var points []string
	for i, v := range values {
		if v != "" {
			points = append(points, fmt.Sprintf(`[%d,"%s"]`, start+5*i, v))
		}
	}
	return fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, labels, strings.Join(points, ","))
}

// draw draws a panel, given as JSON, of ten seconds.
func draw(t *testing.T, d *Drawer, panel string) Panel {
	t.Helper()
	return drawOf(t, d, `{"uid":"u","panels":[`+panel+`]}`, nil)
}

func drawOf(t *testing.T, d *Drawer, board string, chosen map[string][]string) Panel {
	t.Helper()
	b, err := dashboard.Parse("test.json", []byte(board))
	if err != nil {
		t.Fatal(err)
	}
	drawn := view(d, b, chosen).Panel(t.Context(), b.AllPanels()[0], 300)
	if _, err := json.Marshal(drawn); err != nil {
		t.Error(err)
	}
	return drawn
}

func view(d *Drawer, b *dashboard.Dashboard, chosen map[string][]string) *View {
	return d.View(b, dashboard.Span{From: time.Unix(start, 0), To: time.Unix(start+10, 0)}, chosen)
}

func target(expr string, more ...string) string {
	return fmt.Sprintf(`{"refId":"A","datasource":{"type":"prometheus"},"expr":%q%s}`, expr, strings.Join(more, ""))
}

func numbers(values ...float64) []Number {
	var list []Number
	for _, v := range values {
		list = append(list, Number(v))
	}
	return list
}

var (
	nan    = math.NaN()
	equate = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Number) bool {
		return math.IsNaN(float64(a)) && math.IsNaN(float64(b)) || math.Abs(float64(a-b)) < 1e-9
	})}
)

func TestTimeSeries(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{
		`query_range rate(x{job=~".+"}[20s])`: matrix(line(`"job":"a","x":"y"`, "1", "", "NaN"), line(`"job":"`+"</script>"+`"`, "1", "2", "3")),
		`query_range bytes`:                   matrix(line(`"__name__":"bytes"`, "4", "5")),
		`query_exemplars rate(x{job=~".+"}[20s])`: `[{"seriesLabels":{},"exemplars":[
			{"labels":{"trace_id":"0123456789abcdef0123456789abcdef"},"value":"0.5","timestamp":` + fmt.Sprint(start) + `.001},
			{"labels":{"trace_id":"0123456789abcdef0123456789abcdee"},"value":"0.7","timestamp":` + fmt.Sprint(start) + `.002},
			{"labels":{"trace_id":"javascript:alert(1)"},"value":"9","timestamp":` + fmt.Sprint(start) + `.003}]}]`,
	})}
	got := drawOf(t, d, `{"uid":"u","templating":{"list":[{"name":"job","type":"query","includeAll":true,"multi":true,"allValue":".+","query":"label_values(job)","current":{"value":["$__all"]}}]},
		"panels":[{"type":"timeseries","id":1,"targets":[
			`+target(`rate(x{job=~"$job"}[$__rate_interval])`, `,"legendFormat":"{{job}} !","exemplar":true`)+`,
			`+strings.Replace(target("bytes"), `"A"`, `"B"`, 1)+`],
		"fieldConfig":{"defaults":{"unit":"s","min":0,"thresholds":{"steps":[{"color":"green"},{"color":"red","value":2}]},"custom":{"drawStyle":"bars","fillOpacity":80,"stacking":{"mode":"normal"},"thresholdsStyle":{"mode":"dashed"}}},
			"overrides":[{"matcher":{"id":"byFrameRefID","options":"B"},"properties":[{"id":"unit","value":"bytes"},{"id":"color","value":{"mode":"fixed","fixedColor":"dark-red"}},{"id":"custom.drawStyle","value":"line"}]}]},
		"options":{"legend":{"calcs":["max","nonsense"]}}}]}`, nil)
	zero := 0.0
	want := Panel{
		Kind: "timeseries", From: start * 1000, To: (start + 10) * 1000, Step: 5000, Times: []int64{start * 1000, (start + 5) * 1000, (start + 10) * 1000},
		Stacked: true, Problems: []string{"the desk does not know the calculation nonsense"},
		Series: []Line{
			{Name: "a !", Style: "bars", Fill: 0.8, Values: numbers(1, nan, nan), Calcs: []Calc{{"max", 1}}},
			{Name: "</script> !", Style: "bars", Fill: 0.8, Values: numbers(1, 2, 3), Calcs: []Calc{{"max", 3}}},
			{Name: "bytes", Style: "line", Width: 1, Fill: 0.8, Color: "p3", Axis: 1, Values: numbers(4, 5, nan), Calcs: []Calc{{"max", 5}}},
		},
		Axes:       []Axis{{Unit: Unit{Form: "seconds", Factor: 1}, Min: &zero}, {Unit: Unit{Form: "bytes", Factor: 1}, Min: &zero}},
		Thresholds: []Threshold{{Value: 2, Color: "bad", Line: true}},
		Exemplars:  []Dot{{start*1000 + 2, 0.7, "0123456789abcdef0123456789abcdee"}},
	}
	if diff := cmp.Diff(want, got, equate); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSingleValues(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{
		"query_range x": matrix(line(`"job":"a"`, "0.5", "0.9", ""), line(`"job":"b"`, "0.1", "0.2", "NaN")),
		"query x":       `{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1,"3"]}]}`,
		"query_range":   matrix(),
	})}
	type shown struct {
		Name, Text, Color string
		Value             Number
		Max               float64
		Spark             int
	}
	const thresholds = `"thresholds":{"steps":[{"color":"green"},{"color":"red","value":0.5}]}`
	for name, test := range map[string]struct {
		panel string
		want  []shown
	}{
		"newest": {`{"type":"stat","targets":[` + target("x") + `],"fieldConfig":{"defaults":{` + thresholds + `}},"options":{"graphMode":"area"}}`,
			[]shown{{"a", "", "bad", 0.9, 0.9, 3}, {"b", "", "good", 0.2, 0.9, 3}}},
		"largest": {`{"type":"bargauge","targets":[` + target("x") + `],"fieldConfig":{"defaults":{"unit":"percentunit"}},"options":{"reduceOptions":{"calcs":["max"]}}}`,
			[]shown{{"a", "", "", 0.9, 1, 0}, {"b", "", "", 0.2, 1, 0}}},
		"instant": {`{"type":"gauge","targets":[` + target("x", `,"instant":true`) + `]}`, []shown{{"", "", "", 3, 100, 0}}},
		"percentage of the range": {`{"type":"gauge","targets":[` + target("x", `,"instant":true`) + `],"fieldConfig":{"defaults":{"max":4,"thresholds":{"mode":"percentage","steps":[{"color":"green"},{"color":"orange","value":70}]}}}}`,
			[]shown{{"", "", "warn", 3, 4, 0}}},
		"in words": {`{"type":"stat","targets":[` + target("x", `,"instant":true`) + `],"fieldConfig":{"defaults":{"mappings":[{"type":"value","options":{"3":{"text":"three","color":"blue"}}}]}}}`,
			[]shown{{"", "three", "info", 3, 3, 0}}},
		"a range in words": {`{"type":"stat","targets":[` + target("x", `,"instant":true`) + `],"fieldConfig":{"defaults":{"mappings":[{"type":"range","options":{"from":2,"to":null,"result":{"text":"many"}}}]}}}`,
			[]shown{{"", "many", "", 3, 3, 0}}},
		"nothing": {`{"type":"stat","targets":[` + target("") + `],"fieldConfig":{"defaults":{"noValue":"none yet"}}}`, []shown{{"", "none yet", "quiet", none(), 0, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			drawn := draw(t, d, test.panel)
			var got []shown
			for _, s := range drawn.Stats {
				got = append(got, shown{s.Name, s.Text, s.Color, s.Value, s.Max, len(s.Spark)})
			}
			if diff := cmp.Diff(test.want, got, equate); diff != "" || len(drawn.Problems) > 0 {
				t.Errorf("problems %q, (-want +got):\n%s", drawn.Problems, diff)
			}
		})
	}
}

func TestHeatmaps(t *testing.T) {
	native := func(buckets string) string {
		return fmt.Sprintf(`{"metric":{},"histograms":[[%d,{"count":"9","sum":"1","buckets":[%s]}]]}`, start+5, buckets)
	}
	for name, test := range map[string]struct {
		answer string
		want   Heat
	}{
		"native":                              {matrix(native(`[0,"1","2","4"],[0,"2","4","6"]`)), Heat{numbers(1, 2, 4), [][]Number{nil, numbers(4, 6), nil}}},
		"native with an empty bucket between": {matrix(native(`[0,"1","2","4"],[0,"4","8","6"]`)), Heat{numbers(1, 2, 4, 8), [][]Number{nil, numbers(4, 0, 6), nil}}},
		"finer and coarser ones":              {matrix(native(`[0,"1","4","4"],[0,"1","2","1"]`)), Heat{numbers(1, 2, 4), [][]Number{nil, numbers(3, 2), nil}}},
		"around zero":                         {matrix(native(`[3,"-0.1","0.1","2"]`)), Heat{numbers(0, 0.1), [][]Number{nil, numbers(2), nil}}},
		"classic of two instances": {matrix(line(`"le":"1","i":"a"`, "", "3"), line(`"le":"2","i":"a"`, "", "5"), line(`"le":"+Inf","i":"a"`, "", "6"), line(`"le":"2","i":"b"`, "", "1"), line(`"le":"+Inf","i":"b"`, "", "1")),
			Heat{numbers(0, 1, 2, 4), [][]Number{nil, numbers(3, 3, 1), nil}}},
		"nothing": {matrix(), Heat{nil, make([][]Number, 3)}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Drawer{Prometheus: prometheus(t, map[string]string{"query_range x": test.answer})}
			got := draw(t, d, `{"type":"heatmap","targets":[`+target("x", `,"format":"heatmap"`)+`],"options":{"yAxis":{"unit":"s"}}}`)
			if diff := cmp.Diff(&test.want, got.Heat, equate); diff != "" || len(got.Problems) > 0 || got.Axes[0].Unit.Form != "seconds" {
				t.Errorf("problems %q, (-want +got):\n%s", got.Problems, diff)
			}
			if lines := draw(t, d, `{"type":"timeseries","targets":[`+target("x")+`]}`); strings.HasPrefix(name, "native") && lines.Kind != "heatmap" {
				t.Errorf("histograms by themselves are drawn as a %s", lines.Kind)
			}
		})
	}
}

func TestHeatmapsAreBounded(t *testing.T) {
	var column []metrics.Bucket
	total := 0.0
	for i := range 1000 {
		lower := math.Pow(1.1, float64(i-500))
		column = append(column, metrics.Bucket{Lower: lower, Upper: lower * 1.1, Count: 1})
		total++
	}
	got := heat([][]metrics.Bucket{column}, 0, true)
	var sum Number
	for _, n := range got.Counts[0] {
		sum += n
	}
	if len(got.Bounds) > maxHeatRows+2 || math.Abs(float64(sum)-total) > 1e-6 {
		t.Errorf("%d bounds, and %v of %v observations", len(got.Bounds), sum, total)
	}
	tiny := heat([][]metrics.Bucket{{{Lower: 1e-300, Upper: 1.0000001e-300, Count: 1}, {Lower: 1e300, Upper: math.Inf(1), Count: 1}}}, 0, true)
	if len(tiny.Bounds) > maxHeatRows+2 {
		t.Errorf("%d bounds", len(tiny.Bounds))
	}
}

func TestTimeline(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{"query_range x": matrix(line(`"alertname":"A"`, "1", "1", "0"), line(`"alertname":"B"`))})}
	got := draw(t, d, `{"type":"state-timeline","targets":[`+target("x", `,"legendFormat":"{{alertname}}"`)+`],"fieldConfig":{"defaults":{
		"thresholds":{"steps":[{"color":"transparent"},{"color":"red","value":1}]},"mappings":[{"type":"value","options":{"1":{"text":"firing"}}}]}}}`)
	want := []Lane{{"A", []State{{start * 1000, (start + 10) * 1000, "firing", "bad"}, {(start + 10) * 1000, (start + 15) * 1000, "0", ""}}}}
	if diff := cmp.Diff(want, got.Lanes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{"query x": `{"resultType":"vector","result":[
		{"metric":{"__name__":"x","alertname":"A b"},"value":[` + fmt.Sprint(start) + `,"3"]},
		{"metric":{"alertname":"B","job":"` + "</script>" + `"},"value":[` + fmt.Sprint(start) + `,"7"]}]}`})}
	got := draw(t, d, `{"type":"table","targets":[`+target("x", `,"instant":true,"format":"table"`)+`],
		"fieldConfig":{"defaults":{"unit":"s","thresholds":{"steps":[{"color":"green"},{"color":"red","value":5}]}},"overrides":[
			{"matcher":{"id":"byName","options":"Time"},"properties":[{"id":"custom.hidden","value":true}]},
			{"matcher":{"id":"byName","options":"Value"},"properties":[{"id":"displayName","value":"seconds"},{"id":"custom.cellOptions","value":{"type":"color-text"}}]},
			{"matcher":{"id":"byName","options":"alertname"},"properties":[{"id":"links","value":[{"url":"https://example.com/${__value.text}.md?job=${__data.fields.job}"}]}]}]},
		"options":{"sortBy":[{"displayName":"Value","desc":true}]}}`)
	want := &Table{
		Columns: []Column{{Name: "alertname", Unit: Unit{Form: "plain", Factor: 1}}, {Name: "job", Unit: Unit{Form: "plain", Factor: 1}}, {Name: "seconds", Unit: Unit{Form: "seconds", Factor: 1}, Numbers: true, Max: 7}},
		Rows: [][]Cell{
			{{Number: none(), Text: "B", Href: "https://example.com/B.md?job=%3C%2Fscript%3E"}, {Number: none(), Text: "</script>"}, {Number: 7, Color: "bad"}},
			{{Number: none(), Text: "A b", Href: "https://example.com/A+b.md?job="}, {Number: none()}, {Number: 3, Color: "good"}},
		},
	}
	if diff := cmp.Diff(want, got.Table, equate); diff != "" || len(got.Problems) > 0 {
		t.Errorf("problems %q, (-want +got):\n%s", got.Problems, diff)
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.com/x": true, "http://127.0.0.1:3000/d/x": true, "/dashboard/x?from=now": true,
		"javascript:alert(1)": false, "//example.com": false, `/\example.com`: false, "data:text/html,x": false, "": false, "http:": false,
	} {
		if got := Address(address) != ""; got != ok {
			t.Errorf("%q may be linked to: %v", address, got)
		}
	}
}

// store is a log store that knows one query.
type store struct {
	logstore.Store
	name string
}

func (s store) Name() string { return s.name }

func (s store) Ask(_ context.Context, native string, _, _ time.Time, limit int) ([]logstore.Record, error) {
	if native != `{service_name=~".+"}` {
		return nil, errors.New("asked for " + native)
	}
	return []logstore.Record{{Message: "older"}, {Message: hostile}}[:min(limit, 2)], nil
}

func (s store) Count(context.Context, string, time.Time, time.Time, time.Duration) ([]logstore.Series, error) {
	return []logstore.Series{{Labels: map[string]string{"level": "info"}, Points: []logstore.Point{{At: time.Unix(start+5, 0), Value: 4}}}}, nil
}

func TestLogs(t *testing.T) {
	const panel = `{"type":"%s","targets":[{"refId":"A","datasource":{"type":"loki"},"expr":"{service_name=~\".+\"}","legendFormat":"{{level}}","maxLines":100}],"options":{"sortOrder":"Descending"}}`
	d := &Drawer{Logs: store{name: "Loki"}}
	got := draw(t, d, fmt.Sprintf(panel, "logs"))
	if len(got.Records) != 2 || got.Records[0].Message != hostile || len(got.Problems) > 0 {
		t.Errorf("records %v, problems %q", got.Records, got.Problems)
	}
	lines := draw(t, d, fmt.Sprintf(panel, "timeseries"))
	if len(lines.Series) != 1 || lines.Series[0].Name != "info" || lines.Series[0].Values[1] != 4 {
		t.Errorf("series %v, problems %q", lines.Series, lines.Problems)
	}
	for _, d := range []*Drawer{{Logs: store{name: "VictoriaLogs"}}, {}} {
		if got := draw(t, d, fmt.Sprintf(panel, "logs")); len(got.Problems) != 1 {
			t.Errorf("problems %q, want one", got.Problems)
		}
	}
}

func TestAlerts(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{"alerts": `{"alerts":[
		{"labels":{"alertname":"Old","severity":"critical","job":"a"},"annotations":{"summary":"s","runbook_url":"https://example.com/r"},"state":"firing","activeAt":"2026-01-02T15:04:05Z"},
		{"labels":{"alertname":"Soon"},"state":"pending","activeAt":"2026-01-02T15:06:05Z"},
		{"labels":{"alertname":"New"},"state":"firing","activeAt":"2026-01-02T15:05:05Z"}]}`})}
	var names []string
	for _, a := range draw(t, d, `{"type":"alertlist","targets":[],"options":{"maxItems":2}}`).Alerts {
		names = append(names, a.Name+" "+a.Of)
	}
	if diff := cmp.Diff([]string{"New ", "Old a"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMarks(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{
		`query_range ALERTS`: matrix(line(`"alertname":"A","job":"x"`, "1", "1"), line(`"alertname":"B"`, "", "", "1")),
		`query_range drills`: matrix(line(``, fmt.Sprint((start+3)*1000), fmt.Sprint((start+3)*1000), "1")),
	})}
	b, err := dashboard.Parse("x.json", []byte(`{"uid":"u","panels":[{}],"annotations":{"list":[
		{"name":"Alerts","enable":true,"expr":"ALERTS","step":"5s","iconColor":"red","titleFormat":"{{alertname}}","textFormat":"{{job}}"},
		{"name":"Drills","enable":true,"expr":"drills","iconColor":"blue","useValueForTime":true},
		{"name":"Off","expr":"x"},{"name":"Grafana's","enable":true}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := view(d, b, nil).Marks(t.Context())
	want := []Mark{
		{start * 1000, (start + 5) * 1000, "A", "x", "bad"},
		{(start + 3) * 1000, (start + 3) * 1000, "Drills", "", "info"},
		{(start + 10) * 1000, (start + 10) * 1000, "B", "", "bad"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
}

func TestControls(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{
		`values`: `["a","b"]`, `values up{job=~"b"}`: `["` + strings.Repeat("n", 10) + `"]`,
		`query query(b)`: `{"resultType":"vector","result":[{"metric":{"x":"y"},"value":[1,"2"]}]}`,
	})}
	b, err := dashboard.Parse("x.json", []byte(`{"uid":"u","panels":[{}],"templating":{"list":[
		{"name":"datasource","type":"datasource","query":"prometheus"},
		{"name":"job","label":"Service","type":"query","query":{"query":"label_values(job)"},"multi":true,"includeAll":true,"allValue":".+"},
		{"name":"instance","type":"query","query":"label_values(up{job=~\"$job\"}, instance)"},
		{"name":"result","type":"query","query":"query_result(query($job))"},
		{"name":"window","type":"interval","query":"1m,5m"},
		{"name":"text","type":"textbox","query":"free"},
		{"name":"hidden","type":"constant","query":"7"},
		{"name":"loop","type":"query","query":"label_values($pool)"},
		{"name":"pool","type":"query","query":"label_values($nothing)"},
		{"name":"other","type":"query","query":"metrics(x)"},
		{"name":"adhoc","type":"adhoc"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range view(d, b, map[string][]string{"job": {"b"}, "window": {"5m"}}).Controls(t.Context()) {
		text := c.Label + ":"
		for _, o := range c.Options {
			text += " " + o.Text
			if o.Chosen {
				text += "*"
			}
		}
		got = append(got, strings.TrimSpace(text+" "+c.Value+c.Problem))
	}
	want := []string{
		"Service: All a b*", "instance: nnnnnnnnnn*", "result: y 2*", "window: 1m 5m*", "text: free",
		"loop: there is no variable nothing", "pool: there is no variable nothing",
		`other: the values of the variable other: the desk does not know the query "metrics(x)": label_values and query_result are known`,
		"adhoc: the variable adhoc is of the type adhoc, which the desk does not know",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCircle has variables that need each other.
func TestCircle(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, nil)}
	got := drawOf(t, d, `{"uid":"u","templating":{"list":[{"name":"a","type":"query","query":"label_values($b)"},{"name":"b","type":"query","query":"label_values($a)"}]},
		"panels":[{"type":"stat","targets":[`+target("$a")+`]}]}`, nil)
	if len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "circle") {
		t.Errorf("problems %q", got.Problems)
	}
}

func TestProblems(t *testing.T) {
	d := &Drawer{Prometheus: prometheus(t, map[string]string{"query_range x": matrix(line(""))})}
	for panel, want := range map[string]string{
		`{"type":"news","targets":[]}`:                                                                "panels of the type news",
		`{"type":"stat","targets":[` + target("y") + `]}`:                                             "not asked for",
		`{"type":"stat","targets":[` + target("x{a=\\\"$none\\\"}") + `]}`:                            "there is no variable none",
		`{"type":"stat","targets":[` + target("x") + `],"fieldConfig":{"defaults":{"unit":"ft"}}}`:    "the unit ft",
		`{"type":"stat","targets":[` + target("x") + `],"options":{"reduceOptions":{"calcs":["z"]}}}`: "the calculation z",
		`{"type":"stat","targets":[` + target("x") + `],"transformations":[{"id":"magic"}]}`:          "the transformation magic",
		`{"type":"stat","interval":"soon","targets":[` + target("x") + `]}`:                           `"soon" is not a length of time`,
		`{"type":"stat","targets":[{"refId":"A","datasource":{"type":"mysql"},"expr":"x"}]}`:          `the data source "mysql"`,
		`{"type":"table","targets":[` + target("x") + `,` + target("x") + `]}`:                        "tables of one query",
		`{"type":"stat","targets":[` + target("x") + `],"fieldConfig":{"defaults":{"min":"low"}}}`:    "options of",
	} {
		got := draw(t, d, panel)
		if len(got.Problems) == 0 || !strings.Contains(got.Problems[0], want) {
			t.Errorf("%s: problems %q, want %q", panel, got.Problems, want)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	var many []string
	for i := range maxSeries + 5 {
		many = append(many, line(fmt.Sprintf(`"i":"%d%s"`, i, strings.Repeat("W", 10_000)), "1"))
	}
	d := &Drawer{Prometheus: prometheus(t, map[string]string{"query_range x": matrix(many...)})}
	got := draw(t, d, `{"type":"timeseries","targets":[`+target("x")+`]}`)
	if len(got.Series) != maxSeries || got.More == 0 || len(got.Series[0].Name) > maxName+4 {
		t.Errorf("%d series, %d more, a name of %d bytes", len(got.Series), got.More, len(got.Series[0].Name))
	}
}

func TestReduce(t *testing.T) {
	values := numbers(nan, 2, 8, 5, nan)
	for calc, want := range map[string]float64{
		"lastNotNull": 5, "last": nan, "firstNotNull": 2, "first": nan, "min": 2, "max": 8, "mean": 5, "sum": 15, "count": 5, "range": 6, "diff": 3, "median": 5,
	} {
		if got, ok := reduce(calc, values); !ok || cmp.Diff(want, float64(got), cmpopts.EquateNaNs()) != "" {
			t.Errorf("%s is %v (known: %v), want %v", calc, got, ok, want)
		}
		if got, ok := reduce(calc, nil); !ok || calc != "count" && got.exists() {
			t.Errorf("%s of nothing is %v (known: %v)", calc, got, ok)
		}
	}
}

func TestLoad(t *testing.T) {
	board := func(title string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"uid":"u","title":"` + title + `","panels":[{}]}`)}
	}
	list, err := Load(fstest.MapFS{"a.json": board("B"), "b.json": board("A"), "README.md": {}}, fstest.MapFS{"a.json": board("C")})
	if err != nil || len(list) != 2 || list[0].Title != "A" || list[1].Title != "C" {
		t.Errorf("loaded %v (error %v)", list, err)
	}
	for _, bad := range []fs.FS{fstest.MapFS{"a.json": {Data: []byte("{")}}, fstest.MapFS{"a.json": {Data: []byte("{}")}}} {
		if _, err := Load(bad); err == nil || !strings.Contains(err.Error(), "a.json") {
			t.Errorf("error is %v, want one that names the file", err)
		}
	}
}
