package desk

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// manyLines makes a chart of twenty series of nine hundred points, of which half are dashed.
const manyLines = `
	const { Chart, Group } = await import("/static/chart.js");
	const host = document.createElement("div");
	host.className = "drawn";
	host.style.height = "300px";
	document.querySelector("main").prepend(host);
	const group = new Group();
	const chart = new Chart(group, host, { title: "many" });
	const times = Array.from({ length: 900 }, (_, i) => i * 1000);
	const series = Array.from({ length: 20 }, (_, s) => ({ name: "s" + s, values: times.map((t, i) => Math.sin(i / 20 + s) + 2) }));
	chart.set(times, series);
	group.paint();
	group.paint(); // with the legend, the canvas has its size
	const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	// pixels are those of the chart, which has to be finished for that.
	const pixels = () => {
		const { width, height } = Object.assign(copy.canvas, { width: chart.canvas.width, height: chart.canvas.height });
		copy.drawImage(chart.canvas, 0, 0);
		return copy.getImageData(0, 0, width, height).data;
	};
`

// inChart evaluates a program in a page with such a chart.
func inChart(ctx context.Context, t testing.TB, program string, result any) {
	t.Helper()
	err := chromedp.Run(ctx, chromedp.Evaluate("(async () => {"+manyLines+program+"})()", result, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if err != nil {
		t.Fatal(err)
	}
}

// TestCrosshair moves it over a chart, which does not draw the data again.
func TestCrosshair(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{})
	if err := chromedp.Run(ctx, chromedp.Navigate(address+"/dashboards")); err != nil {
		t.Fatal(err)
	}
	var drawn []int
	inChart(ctx, t, `
		let drawn = 0;
		const base = chart.paintBase;
		chart.paintBase = function (...all) { drawn++; base.apply(this, all); };
		for (let i = 0; i < 10; i++) { group.at = i * 10_000; group.paint(); }
		const before = drawn;
		chart.stale = true;
		group.paint();
		return [before, drawn];
	`, &drawn)
	if drawn[0] != 0 || drawn[1] != 1 {
		t.Errorf("ten crosshairs draw the data %d times, and then new data does %d times", drawn[0], drawn[1])
	}
}

// TestChartIsDrawn compares where lines, areas, bars and dots are with where they belong, at two densities of pixels.
func TestChartIsDrawn(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{})
	for _, ratio := range []float64{1, 2} {
		err := chromedp.Run(ctx, emulation.SetDeviceMetricsOverride(1200, 900, ratio, false), chromedp.Navigate(address+"/dashboards"))
		if err != nil {
			t.Fatal(err)
		}
		var wrong []string
		inChart(ctx, t, `
			const wrong = [];
			const ratio = devicePixelRatio;
			const step = (k) => k < 300 ? 1 : k < 600 ? 3 : 2; // a corner up and a corner down
			const draw = (look) => {
				chart.hidden.clear();
				chart.set(times, [{ name: "one", color: "#ff0000", values: times.map((_, k) => step(k)), ...look }], { axes: [{ unit: String, min: 0, max: 4 }], gap: 2500 });
				group.paint();
				return pixels();
			};
			// red tells how much of the colour is at a point of the data.
			const red = (data, k, value) => {
				const x = Math.floor(chart.x(times[k]) * ratio), y = Math.floor(chart.scales[0].y(value) * ratio);
				const at = 4 * (y * chart.canvas.width + x);
				return data[at] > 2 * data[at + 1] ? data[at + 3] : 0;
			};
			const expect = (what, got, low, high) => { if (!(got >= low && got <= high)) wrong.push(what + " is " + got + " at " + ratio); };
			let data = draw({ width: 3 });
			for (const k of [100, 450, 800]) {
				expect("a line", red(data, k, step(k)), 255, 255);
				expect("above a line", red(data, k, step(k) + 0.3), 0, 0);
				expect("below a line", red(data, k, step(k) - 0.3), 0, 0);
			}
			for (const value of [1.3, 2, 2.9]) expect("a rise", Math.max(red(data, 299, value), red(data, 300, value)), 200, 255);
			data = draw({ width: 3, fill: 0.5 });
			for (const k of [100, 450, 800]) expect("an area", red(data, k, step(k) - 0.5), 125, 130);
			expect("above an area", red(data, 100, 2), 0, 0);
			data = draw({ width: 3, dash: "dash" });
			const dashed = times.slice(10, 290).map((_, i) => red(data, 10 + i, 1));
			expect("the share of dashes", dashed.filter((a) => a > 0).length / dashed.length, 0.5, 0.7);
			data = draw({ style: "bars", fill: 1 });
			expect("a bar", red(data, 450, 1.5), 255, 255);
			expect("above a bar", red(data, 100, 1.5), 0, 0);
			data = draw({ style: "points" });
			expect("a point", red(data, 450, 3), 255, 255);
			data = draw({ width: 3, values: times.map((_, k) => k > 400 && k < 500 ? null : 2) });
			expect("a gap", red(data, 450, 2), 0, 0);
			expect("beside a gap", red(data, 300, 2), 255, 255);
			for (const [lines, alpha] of [[8, 125], [9, 0]]) { // areas below more lines than there are colours only dim each other
				const more = Array.from({ length: lines - 1 }, (_, i) => ({ name: "more" + i, values: times.map(() => 0) }));
				chart.set(times, [{ name: "one", color: "#ff0000", fill: 0.5, values: times.map(() => 2) }, ...more], { axes: [{ unit: String, min: 0, max: 4 }], gap: 2500 });
				group.paint();
				expect("the area below one of " + lines, red(pixels(), 450, 1.5), alpha, alpha + 5);
			}
			data = draw({ values: times.map(() => null) });
			expect("nothing", data.some((v, i) => i % 4 === 0 && v > 200 && data[i + 1] < 50), 0, 0);
			return wrong;
		`, &wrong)
		for _, w := range wrong {
			t.Error(w)
		}
	}
}

// processorTime is what the page's thread has taken so far, which draws on canvases where there is no graphics card.
func processorTime(ctx context.Context, b *testing.B) time.Duration {
	b.Helper()
	var metrics []*performance.Metric
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		metrics, err = performance.GetMetrics().Do(ctx)
		return err
	}))
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range metrics {
		if m.Name == "ThreadTime" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	b.Fatal("the browser does not say how much time its thread has taken")
	return 0
}

// BenchmarkChart measures the time of the processor that a frame takes without a graphics card: with the canvas's own
// paths, as one draws such a chart at first, and with the raster. A pan waits until each frame is shown, so its frames
// per second are those that people see, up to the 60 of the browser.
func BenchmarkChart(b *testing.B) {
	ctx := browser(b)
	address, _ := serve(b, Config{})
	if err := chromedp.Run(ctx, performance.Enable().WithTimeDomain(performance.EnableTimeDomainThreadTicks),
		chromedp.EmulateViewport(1200, 900), chromedp.Navigate(address+"/dashboards")); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct{ name, before, each string }{
		{"paths", `
			const g = chart.base.getContext("2d");
			g.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
		`, `
			g.clearRect(0, 0, chart.width, chart.height);
			chart.layers.forEach(({ upper }, s) => {
				g.strokeStyle = g.fillStyle = "hsl(" + 18 * s + " 80% 50%)";
				g.lineWidth = 1.5;
				g.lineJoin = "bevel";
				g.setLineDash([[], [6, 4], [1.5, 3]][Math.floor(s / 8)]);
				g.beginPath();
				times.forEach((t, k) => g.lineTo(chart.x(t), chart.scales[0].y(upper[k])));
				g.stroke();
			});
			group.paint();
			pixels();
		`},
		{"redraw", "", "chart.stale = true; group.paint(); pixels();"},
		{"pan", "", "group.zoom([i % 100 * 1000, 600_000 + i % 100 * 1000]); await new Promise(requestAnimationFrame);"},
		{"crosshair", "", "group.at = i % 900 * 1000; group.paint(); pixels();"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime(ctx, b)
			inChart(ctx, b, fmt.Sprintf(`
				%s
				for (let i = 0; i < %d; i++) { %s }
				host.remove();
			`, bench.before, b.N, bench.each), nil)
			b.ReportMetric(float64((processorTime(ctx, b)-before).Microseconds())/1000/float64(b.N), "ms/frame")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

// marked is a dashboard with a chart below an alert that fires all the time, and one that began in between.
func marked() fs.FS {
	return fstest.MapFS{"marked.json": {Data: []byte(`{"uid":"marked","title":"Marked","refresh":"off","time":{"from":"now-30m","to":"now"},
		"annotations":{"list":[
			{"name":"Alerts","enable":true,"expr":"always","titleFormat":"{{alertname}}","textFormat":"of {{job}}","iconColor":"red"},
			{"name":"Drills","enable":true,"expr":"late","titleFormat":"Drill {{drill}}","iconColor":"purple"}]},
		"panels":[{"id":1,"type":"timeseries","title":"One","gridPos":{"w":24,"h":10},"datasource":{"type":"prometheus"},"targets":[{"refId":"A","expr":"x"}]}]}`)}}
}

// alertsServer is a Prometheus with the alert always, the drill late, which begins in the middle, and a series.
func alertsServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.ParseFloat(r.FormValue("start"), 64)
		to, _ := strconv.ParseFloat(r.FormValue("end"), 64)
		step, err := strconv.ParseFloat(r.FormValue("step"), 64)
		labels := `"alertname":"Slow","job":` + quoteJSON(evil)
		if r.FormValue("query") == "late" {
			labels, from = `"drill":"slow_handling"`, (from+to)/2
		}
		var points []string
		for at := from; err == nil && at <= to; at += step {
			points = append(points, fmt.Sprintf(`[%f,"1"]`, at))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{%s},"values":[%s]}]}}`, labels, strings.Join(points, ","))
	}))
	t.Cleanup(server.Close)
	return server
}

// TestMarksAreBands has an alert that fires all the time cover no data, in both themes, and say what it is where the
// pointer is.
func TestMarksAreBands(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{PrometheusURL: alertsServer(t).URL, Dashboards: []fs.FS{marked()}})
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	// How many pixels of a row are coloured, as shares of the plot's left and right half.
	const row = `(y) => {
		const c = document.querySelector("#panel-1 canvas");
		if (!c) return [];
		const copy = Object.assign(document.createElement("canvas"), { width: c.width, height: c.height }).getContext("2d");
		copy.drawImage(c, 0, 0);
		const data = copy.getImageData(58, y < 0 ? c.height + y : y, c.width - 68, 1).data;
		const half = data.length / 8;
		const count = [0, 0];
		for (let i = 0; i < 2 * half; i++) if (data[4 * i + 3] > 200 && Math.abs(data[4 * i] - data[4 * i + 1]) > 30) count[i < half ? 0 : 1] += 1 / half;
		return count.map((n) => Math.round(10 * n));
	}`
	for _, theme := range []string{"dark", "light"} {
		run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}),
			chromedp.EmulateViewport(1300, 900), chromedp.Navigate(address+"/dashboard/marked"),
			chromedp.Poll(`(`+row+`)(2).join() === "10,10"`, nil, chromedp.WithPollingTimeout(20*time.Second)))
		var drill, data []int
		run(chromedp.Evaluate(`(`+row+`)(6)`, &drill), chromedp.Evaluate(`(`+row+`)(-60)`, &data))
		if drill[0] != 0 || drill[1] != 10 {
			t.Errorf("%s: the band of the drill covers %d and %d tenths of the halves, want 0 and 10", theme, drill[0], drill[1])
		}
		if data[0] != 0 || data[1] != 0 {
			t.Errorf("%s: marks cover %d and %d tenths of the plot", theme, data[0], data[1])
		}
	}

	x, y := canvasAt(t, run, "#panel-1 canvas")
	var top float64
	const hint = `document.querySelector("#panel-1 .hint")`
	run(chromedp.Evaluate(`document.querySelector("#panel-1 canvas").getBoundingClientRect().y`, &top))
	run(chromedp.MouseEvent(input.MouseMoved, x, y), chromedp.Poll(`document.querySelector("#panel-1 canvas").getAttribute("aria-label").includes(" at ") && `+hint+`.hidden`, nil),
		chromedp.MouseEvent(input.MouseMoved, x+100, top+5), chromedp.Poll(`!`+hint+`.hidden`, nil))
	var said, label string
	var elements, wide int
	run(chromedp.Evaluate(hint+`.textContent`, &said), chromedp.Evaluate(hint+`.childElementCount`, &elements),
		chromedp.Evaluate(`document.querySelector("#panel-1 canvas").getAttribute("aria-label")`, &label),
		chromedp.Evaluate(`document.documentElement.scrollWidth - innerWidth`, &wide))
	for _, want := range []string{`Slow of </script><img src=x onerror="alert(1)">`, "Drill slow_handling, ", " to "} {
		if !strings.Contains(said, want) || !strings.Contains(label, want) {
			t.Errorf("%q is not in the hint %q, or not in the label %q", want, said, label)
		}
	}
	if elements != 0 || wide > 0 {
		t.Errorf("a hint has %d elements in it, and the page is %d pixels too wide", elements, wide)
	}
}
