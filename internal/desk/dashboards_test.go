package desk

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

func TestMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"one\ntwo\n\nthree": "<p>one two</p><p>three</p>",
		"# Head\n- a `b`\n  c\n- **d**\nend of d\n\nand": "<h4>Head</h4><ul><li>a <code>b</code> c</li><li><strong>d</strong> end of d</li></ul><p>and</p>",
		"[a & b](https://example.com/?x=1&y=%22)":        `<p><a href="https://example.com/?x=1&amp;y=%22">a &amp; b</a></p>`,
		"[x](javascript:alert) [y](/dashboard/z)":        `<p>x <a href="/dashboard/z">y</a></p>`,
		hostile + " `" + hostile + "`":                   "<p>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; <code>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;</code></p>",
		`[x](https://example.com/"onclick="alert)`:       `<p><a href="https://example.com/&#34;onclick=&#34;alert">x</a></p>`,
		"1. first\n2. second":                            "<ul><li>first</li><li>second</li></ul>",
	} {
		if got := string(markdown(text)); got != want {
			t.Errorf("%q becomes\n%s, want\n%s", text, got, want)
		}
	}
}

const traceOfExemplar = "0123456789abcdef0123456789abcdef"

// evil is a label's value that tries to be more than one.
var evil = `</script><img src=x onerror="alert(1)">` + "\x1b[31m\u202e" + strings.Repeat("W", 10_000)

// metricsServer is a Prometheus with a gauge of two series, a native histogram with exemplars, and one alert.
func metricsServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := strconv.ParseFloat(r.FormValue("start"), 64)
		to, _ := strconv.ParseFloat(r.FormValue("end"), 64)
		step, _ := strconv.ParseFloat(r.FormValue("step"), 64)
		points := func(write func(at float64, i int) string) string {
			var list []string
			for i := 0; err == nil && step > 0 && from+float64(i)*step <= to; i++ {
				list = append(list, write(from+float64(i)*step, i))
			}
			return strings.Join(list, ",")
		}
		value := func(at float64, i int) string { return fmt.Sprintf(`[%f,"%d"]`, at, 40+i%3) }
		var data string
		switch query := r.FormValue("query"); {
		case strings.HasSuffix(r.URL.Path, "/query_exemplars"):
			data = fmt.Sprintf(`[{"seriesLabels":{},"exemplars":[{"labels":{"trace_id":"%s"},"value":"0.2","timestamp":%f}]}]`, traceOfExemplar, (from+to)/2)
		case strings.HasSuffix(r.URL.Path, "/values"):
			data = fmt.Sprintf(`["a",%q]`, "</script>")
		case strings.HasSuffix(r.URL.Path, "/query_range") && query == "latency":
			data = `{"resultType":"matrix","result":[{"metric":{},"histograms":[` + points(func(at float64, _ int) string {
				return fmt.Sprintf(`[%f,{"count":"3","sum":"1","buckets":[[0,"0.1","0.2","2"],[0,"0.2","0.4","1"]]}]`, at)
			}) + `]}]}`
		case strings.HasSuffix(r.URL.Path, "/query_range"):
			data = fmt.Sprintf(`{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[%s]},{"metric":{"job":%s},"values":[%s]}]}`,
				points(value), quoteJSON(evil), points(value))
		default:
			data = fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{"job":%s},"value":[%d,"7"]}]}`, quoteJSON(evil), time.Now().Unix())
		}
		fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(server.Close)
	return server
}

func quoteJSON(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, "\x1b", `\u001b`).Replace(s) + `"`
}

// logServer is a Loki with one record, of the exemplar's trace.
func logServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data":{"result":[{"stream":{"level":"info","service_name":"demo","trace_id":"%s","name":%s},"values":[["%d",%s]]}]}}`,
			traceOfExemplar, quoteJSON(evil), time.Now().UnixNano(), quoteJSON(evil))
	}))
	t.Cleanup(server.Close)
	return server
}

// everyKind is a dashboard with a panel of each kind.
func everyKind() fs.FS {
	panel := func(id int, kind, more string) string {
		return fmt.Sprintf(`{"id":%d,"type":"%s","title":"%s $job","description":"see [it](https://example.com/) <b>","gridPos":{"x":%d,"y":%d,"w":12,"h":7},
			"datasource":{"type":"prometheus"}%s}`, id, kind, kind, 12*(id%2), 7*(id/2), more)
	}
	targets := func(expr, more string) string {
		return `,"targets":[{"refId":"A","expr":"` + expr + `"` + more + `}]`
	}
	const look = `,"fieldConfig":{"defaults":{"unit":"short","thresholds":{"steps":[{"color":"green"},{"color":"red","value":41}]},"custom":{"thresholdsStyle":{"mode":"dashed+area"}}}}`
	panels := []string{
		panel(1, "timeseries", targets("x", `,"legendFormat":"{{job}}","exemplar":true`)+look),
		panel(2, "heatmap", targets("latency", `,"exemplar":true`)+`,"options":{"yAxis":{"unit":"s"}}`),
		panel(3, "stat", targets("x", "")+look+`,"options":{"graphMode":"area"}`),
		panel(4, "gauge", targets("x", `,"instant":true`)+look),
		panel(5, "bargauge", targets("x", "")+look),
		panel(6, "state-timeline", targets("x", "")+look),
		panel(7, "table", targets("x", `,"instant":true`)+look),
		panel(8, "logs", `,"targets":[{"refId":"A","datasource":{"type":"loki"},"expr":"{}"}]`),
		panel(9, "text", `,"options":{"content":"**bold** <img src=x>"}`),
		panel(10, "alertlist", `,"targets":[]`),
	}
	return fstest.MapFS{"all.json": {Data: []byte(`{"uid":"all","title":"All kinds","refresh":"off","time":{"from":"now-15m","to":"now"},
		"annotations":{"list":[{"name":"Alerts","enable":true,"expr":"x","titleFormat":"{{job}}","iconColor":"red"}]},
		"templating":{"list":[{"name":"job","type":"query","multi":true,"includeAll":true,"allValue":".+","datasource":{"type":"prometheus"},"query":"label_values(job)"}]},
		"panels":[` + strings.Join(panels, ",") + `]}`)}}
}

// TestDashboard looks at a dashboard with every kind of panel: what stands there, what the mouse and the keyboard do,
// and that names from outside stay names.
func TestDashboard(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{PrometheusURL: metricsServer(t).URL, LokiURL: logServer(t).URL, JaegerURL: jaegerWithout(t).URL, Dashboards: []fs.FS{everyKind()}})
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(js string) (s string) {
		t.Helper()
		run(chromedp.Evaluate(js, &s))
		return s
	}
	await := func(js string) { t.Helper(); run(chromedp.Poll(js, nil, chromedp.WithPollingTimeout(20*time.Second))) }

	for _, theme := range []string{"dark", "light"} {
		run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}),
			chromedp.EmulateViewport(1300, 2200), chromedp.Navigate(address+"/dashboard/all?var-job=a"))
		await(`document.querySelectorAll("[data-loaded]").length === 9 && document.querySelectorAll(".panel").length === 10`)
	}
	for js, want := range map[string]string{
		`document.querySelector("#title-1").textContent`:                                          "timeseries a",
		`document.querySelector("#panel-1 .legend").textContent`:                                  "a 4",
		`document.querySelector("#panel-2 .legend").textContent`:                                  "100 ms to 200 ms: 2",
		`document.querySelector("#panel-3 .value").textContent`:                                   "4",
		`document.querySelector("#panel-4 svg").getAttribute("aria-label")`:                       "gauge a 7",
		`document.querySelector("#panel-5 .n").textContent`:                                       "4",
		`document.querySelector("#panel-6 .lane .name").textContent`:                              "a",
		`document.querySelector("#panel-7 td").textContent`:                                       "20",
		`document.querySelector("#panel-8 .what").textContent`:                                    `</script><img src=x onerror="alert(1)">`,
		`document.querySelector("#panel-9 .drawn").innerHTML`:                                     "<p><strong>bold</strong> &lt;img src=x&gt;</p>",
		`document.querySelector("#panel-10 .drawn").textContent`:                                  "No alert.",
		`document.querySelector("#panel-1 .about div").innerHTML`:                                 `<p>see <a href="https://example.com/">it</a> &lt;b&gt;</p>`,
		`String(document.querySelectorAll("main img").length)`:                                    "0",
		`[...document.querySelectorAll(".problem:not([hidden])")].map(e => e.textContent).join()`: "",
		`String(document.documentElement.scrollWidth - innerWidth)`:                               "0",
	} {
		if got := text(js); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s is %.200q, want %q", js, got, want)
		}
	}

	// The crosshair is that of all charts.
	const label = `document.querySelector("#panel-%d canvas").getAttribute("aria-label")`
	x, y := canvasAt(t, run, "#panel-1 canvas")
	run(chromedp.MouseEvent(input.MouseMoved, x, y))
	await(fmt.Sprintf(label+`.includes(" at ")`, 2))
	// An arrow moves it, too, and says the values to who can't see them.
	before := text(fmt.Sprintf(label, 2))
	run(chromedp.Focus("#panel-2 canvas"), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft))
	await(fmt.Sprintf(label+` !== %q`, 2, before))

	// To drag is to zoom, and asks for what is in the range.
	const asked = `performance.getEntriesByType("resource").filter(e => e.name.includes("/panel/1?")).at(-1).name`
	run(chromedp.MouseEvent(input.MousePressed, x-100, y, chromedp.ButtonLeft), chromedp.MouseEvent(input.MouseMoved, x+100, y), chromedp.MouseEvent(input.MouseReleased, x+100, y, chromedp.ButtonLeft))
	await(`/from=\d{13}&to=\d{13}/.test(` + asked + `)`)
	run(chromedp.Evaluate(`document.querySelector("#panel-1 canvas").dispatchEvent(new MouseEvent("dblclick"))`, nil))
	await(`!/from=\d{13}/.test(` + asked + `)`)
	run(chromedp.Click(`[data-range="5m"]`))
	await(`location.search.includes("from=now-5m") && ` + asked + `.includes("from=now-5m")`)

	// An exemplar leads to its trace.
	run(chromedp.Focus("#panel-1 canvas"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#records"))
	if got := text("location.pathname"); got != "/trace/"+traceOfExemplar {
		t.Errorf("the exemplar leads to %s", got)
	}
	run(chromedp.Navigate(address+"/dashboard/all?viewPanel=3&var-job=a"), chromedp.WaitVisible("#panel-3[data-loaded]"))
	if got := text(`String(document.querySelectorAll(".panel").length) + document.querySelector("#whole").getAttribute("href")`); got != "1/dashboard/all?var-job=a" {
		t.Errorf("a panel by itself has %s", got)
	}
	run(chromedp.Navigate(address+"/query?query=latency"), chromedp.WaitVisible("#graph[data-loaded]"))
	if got := text(`document.querySelector("#graph .legend").textContent`); !strings.HasPrefix(got, "0.1 to 0.2") {
		t.Errorf("the graph of a histogram says %s", got)
	}
}

// canvasAt is the middle of a canvas on the page.
func canvasAt(t *testing.T, run func(...chromedp.Action), selector string) (x, y float64) {
	t.Helper()
	var at []float64
	run(chromedp.Evaluate(fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector), &at))
	return at[0], at[1]
}

// jaegerWithout is a Jaeger that has no trace.
func jaegerWithout(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server
}

// TestOverview has numbers from the live consoles before Prometheus has any.
func TestOverview(t *testing.T) {
	console := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var samples []string
		for i := range 30 {
			samples = append(samples, fmt.Sprintf(`{"time":%q,"seconds":1,"endpoints":[{"namespace":%s,"open":3,"opened":1,"closed":{"normal":2},"handling_seconds":{"p50":0.001,"p95":0.002,"p99":0.003}}]}`,
				time.Now().Add(time.Duration(i-30)*time.Second).Format(time.RFC3339Nano), quoteJSON(evil)))
		}
		fmt.Fprintf(w, `{"samples":[%s]}`, strings.Join(samples, ","))
	}))
	defer console.Close()
	ctx := browser(t)
	address, _ := serve(t, Config{Consoles: []string{console.URL + "/one/", console.URL + "/two/"}})
	var values []string
	err := chromedp.Run(ctx, chromedp.EmulateViewport(1300, 1600), chromedp.Navigate(address), chromedp.Poll(`document.querySelectorAll("[data-loaded]").length === 10`, nil),
		chromedp.Evaluate(`[...document.querySelectorAll("#panel-4 .value, #panel-6 .value, #panel-8 .legend b, #panel-9 .legend b")].map(e => e.textContent)`, &values))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"6", "3 ms", "-4/s", "2/s", "1 ms", "2 ms", "3 ms"}; !slices.Equal(values, want) {
		t.Errorf("of two instances together it says %q, want %q", values, want)
	}
}

// TestGivenOfSeveral adds up instances whose samples are not taken in the same seconds.
func TestGivenOfSeveral(t *testing.T) {
	at := func(seconds ...float64) (series console.Series) {
		for _, s := range seconds {
			series.Samples = append(series.Samples, console.Sample{Time: time.UnixMilli(int64(1000 * s))})
		}
		return series
	}
	one := func(console.Sample) map[string]float64 { return map[string]float64{"open": 1} }
	// The first one is late and has two samples in a second, the second one ends.
	all := []console.Series{at(100.9, 101.1, 101.9, 103.2, 109), at(100, 101)}
	for isTime, want := range map[bool][]metrics.Point{
		false: {{At: 100_000, Value: 2}, {At: 101_000, Value: 2}, {At: 103_000, Value: 2}, {At: 109_000, Value: 1}},
		true:  {{At: 100_000, Value: 1}, {At: 101_000, Value: 1}, {At: 103_000, Value: 1}, {At: 109_000, Value: 1}},
	} {
		if got := given(all, one, isTime)["A"]; len(got) != 1 || !slices.Equal(got[0].Points, want) {
			t.Errorf("times %t: %v, want %v", isTime, got, want)
		}
	}
}
