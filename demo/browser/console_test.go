package browser

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/instrument/console"
)

// openConsole opens the live console of a service.
func (b *tab) openConsole(s *service) {
	b.t.Helper()
	b.run(chromedp.Navigate(s.url + "/debug/realtime/"))
	b.awaitText("#alive", "live")
}

// serveConsole runs a service that has a live console.
func serveConsole(t *testing.T) (*service, *console.Console, *prometheus.Registry) {
	t.Helper()
	live, registry := console.New(console.Config{Service: "demo"}), prometheus.NewRegistry()
	s := serve(t, demo.Config{
		Console: live, Logger: slog.New(live.LogHandler(nil)), Registerer: registry,
	}, "", sdktrace.WithSpanProcessor(live.SpanProcessor()))
	return s, live, registry
}

// consoleShowsAConnection follows one person's connection in the console: in the table, in its story, and after its
// end.
func consoleShowsAConnection(browser context.Context, t *testing.T) {
	s, _, registry := serveConsole(t)
	ada, operator := newTab(browser, t), newTab(browser, t)
	operator.openConsole(s)
	operator.awaitText("#table tbody", "No connection is open.")
	ada.enter(s.url, "Ada")
	operator.awaitCount("#table tbody a", 1)
	ada.say("is anybody there?")
	ada.awaitCount("#log .sent", 1)

	// The page goes on sending little things, so the two are compared until they agree.
	received := func() string {
		return fmt.Sprintf("%.0f · ", total(t, registry, "websocket_messages_total", "receive"))
	}
	operator.await(func() bool {
		return strings.HasPrefix(operator.text("#table tbody tr td:nth-child(7)"), received())
	}, func() string {
		return fmt.Sprintf("the row is %q, want %s in it", operator.text("#table tbody tr"), received())
	})
	operator.awaitText("#now", "1 open")

	id := operator.text("#table tbody a")
	operator.run(click("#table tbody a"))
	operator.awaitText("#story-id", id)
	operator.awaitText("#story-events", "websocket.message message")
	operator.awaitText("#story-events", "connection opened")
	operator.look(1360, 860, "dark")
	operator.screenshot("console")

	ada.run(chromedp.Evaluate(`location.reload()`, nil))
	operator.awaitText("#story-facts", "closed")
	operator.awaitText("#story-events", "going_away")
	operator.awaitText("#closed", id)
	operator.await(func() bool { return !strings.Contains(operator.text("#table tbody"), id) }, func() string { return "a closed connection stays in the table" })
	operator.look(380, 800, "light")
	if wide := evaluate[int](operator, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("on a narrow screen the page is %d pixels too wide", wide)
	}
}

// consoleFindsFaults breaks the service and reads in the console what is wrong.
func consoleFindsFaults(browser context.Context, t *testing.T) {
	s, live, _ := serveConsole(t)
	ada, operator := newTab(browser, t), newTab(browser, t)
	operator.openConsole(s)
	ada.enter(s.url, "Ada")
	s.turnOn(t, "slow_handling", 1200)
	ada.say("slowly")
	ada.awaitCount("#log .sent", 1)
	operator.awaitText("#traces", "websocket.message message")

	const hostile = `</script><img src=x onerror="alert(1)">\u202e[31m`
	slog.New(live.LogHandler(nil)).Error(hostile, hostile, hostile, "long", strings.Repeat("W", 10_000))
	operator.awaitText("#warnings", hostile)
	if n := operator.count("#warnings img"); n != 0 {
		t.Errorf("a text became %d elements", n)
	}
}

// consoleChartsZoom uses the charts by keyboard, and their module by itself.
func consoleChartsZoom(browser context.Context, t *testing.T) {
	s, _, _ := serveConsole(t)
	operator := newTab(browser, t)
	operator.openConsole(s)
	operator.await(func() bool { return operator.count("#grid .legend b") > 10 }, func() string { return "the charts have no legend" })
	operator.run(chromedp.Evaluate(`document.querySelector("canvas").focus()`, nil), chromedp.KeyEvent("+"))
	operator.await(func() bool {
		return strings.Contains(evaluate[string](operator, `document.querySelector("canvas").getAttribute("aria-label")`), "Open connections")
	}, func() string { return "a chart says nothing to who can't see it" })
	var got string
	operator.run(chromedp.Evaluate(`import("./chart.js").then(({ ticks, nearest, visible, seconds, bytes, unitOf }) => JSON.stringify([
		ticks(0, 0), ticks(0, 0.3), ticks(-40, 1001), ticks(0, 3000, 1024), nearest([1, 5, 9], 6), nearest([], 6),
		visible([10, 20, 30, 40], 20, 30), seconds(0.0005), seconds(90), seconds(7200), bytes(1536),
		unitOf({ form: "plain", factor: 100, suffix: "%" })(0.125), unitOf({ form: "number", suffix: "B/s" })(12000), unitOf({ form: "number", decimals: 2 })(1)]))`, &got, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if want := `[[0,0.2,0.4,0.6,0.8,1],[0,0.1,0.2,0.3],[-250,0,250,500,750,1000,1250],[0,1024,2048,3072],1,-1,[0,3],"500 µs","90 s","2 h","1.5 KiB","12.5%","12 kB/s","1.00"]`; got != want {
		t.Errorf("the chart's module says\n%s, want\n%s", got, want)
	}
}

// total adds up the series of a counter that have the direction.
func total(t *testing.T, g prometheus.Gatherer, name, direction string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == direction {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
