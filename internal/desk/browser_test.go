package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/console"
)

// browser starts a headless Chromium, and fails the test for everything that the pages complain about in it.
func browser(t testing.TB) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the pages are tested in Chromium, which is not installed: make test installs it on Debian")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	// Not the context of the test, which ends before its cleanups.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	var mu sync.Mutex
	var complaints []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Error())
		}
	})
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error("stop the browser:", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			if !strings.Contains(c, "ERR_CONNECTION_REFUSED") { // the test stops the desk itself
				t.Error("the browser complains:", c)
			}
		}
	})
	return ctx
}

// TestStory follows a scripted connection from the table of live ones through its story, which has every event in order
// while they happen and after its end.
func TestStory(t *testing.T) {
	ctx := browser(t)
	live := console.New(console.Config{Service: "demo"})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(live.SpanProcessor()))
	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithTracerProvider(provider), instrument.WithSampleRatio(1),
		instrument.WithMessageTypes("hello", "bye"), instrument.WithLogger(slog.New(live.LogHandler(nil))))
	if err != nil {
		t.Fatal(err)
	}
	live.Observe(observer)
	server := httptest.NewServer(live)
	defer server.Close()
	address, _ := serve(t, Config{Consoles: []string{server.URL}})

	_, h := observer.BeginHandshake(t.Context(), instrument.Request{})
	conn := h.Opened(http.StatusSwitchingProtocols)
	handle := func(name string, err error) {
		_ = conn.Handle(t.Context(), observer.MessageType(name), 7, nil, func(context.Context) error { return err })
	}
	handle("hello", nil)
	handle("hello", errors.New(hostile))

	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	const events = `[...document.querySelectorAll("#timeline .what")].map(e => e.textContent)`
	expect := func(want ...string) {
		t.Helper()
		var got []string
		run(chromedp.Evaluate(events, &got))
		if !slices.Equal(got, want) {
			t.Errorf("the story is %q, want %q", got, want)
		}
	}
	begin := []string{"websocket.handshake", "connection opened", "websocket.message hello", "websocket.message hello", "message failed"}
	run(chromedp.Navigate(address+"/connections"), chromedp.Click("#c-"+conn.ID(), chromedp.ByID), chromedp.WaitVisible("#timeline"))
	expect(begin...)

	handle("bye", nil)
	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
	all := slices.Concat(begin, []string{"websocket.message bye", "websocket.close", "connection closed"})
	var sampled string
	run(chromedp.WaitVisible("#close"), chromedp.Text("#sampled", &sampled))
	expect(all...)
	if !strings.HasPrefix(sampled, "Messages received: 3 with a span, 0 without.") {
		t.Errorf("the page says %q", sampled)
	}
	run(chromedp.Click("#newest"), chromedp.WaitVisible(`#newest[aria-current]`))
	slices.Reverse(all)
	expect(all...)
}

// TestRefresh reads the inbox while something new arrives: what is open stays open, focused and in its place, and a
// desk that has gone is noticed.
func TestRefresh(t *testing.T) {
	ctx := browser(t)
	address, stop := serve(t, Config{})
	do(t, "POST", address+"/v2/enqueue", trigger, "Content-Type", "application/json")

	var folds, focus string
	var scrolled float64
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	const state = `[...document.querySelectorAll("details")].map(d => d.open).join()`
	// A focus that scrolls does so smoothly, and would still move the page when its place is noted.
	run(chromedp.Navigate(address+"/inbox"),
		chromedp.Evaluate(`document.querySelector("article summary").click(); document.querySelector("article summary").focus({preventScroll: true}); document.activeElement.id`, &focus),
		chromedp.Evaluate(`document.body.style.minHeight = "300vh"; scrollTo({top: 100, behavior: "instant"}); scrollY`, &scrolled),
		chromedp.Evaluate(state, &folds))
	if !strings.HasSuffix(focus, "-summary") || folds != "true" {
		t.Fatalf("focus on %q, folds %q; want the summary and one open fold", focus, folds)
	}

	do(t, "POST", address+"/webhook/default", "{}", "Content-Type", "application/json")
	var still string
	var stillScrolled float64
	run(chromedp.WaitVisible("#rejected"),
		chromedp.Evaluate(`scrollY`, &stillScrolled),
		chromedp.Evaluate(`document.activeElement.id`, &still),
		chromedp.Evaluate(state, &folds))
	if still != focus || folds != "true" {
		t.Errorf("after the refresh: focus on %q, folds %q; want %q and one open fold", still, folds, focus)
	}

	if scrolled != 100 || stillScrolled != scrolled {
		t.Errorf("scrolled to %v and after the refresh to %v, want 100", scrolled, stillScrolled)
	}

	stop()
	run(chromedp.WaitVisible("#lost"))
}

// TestClickWhileRenewing presses the mouse on a link, lets the page change, and releases the mouse: the click counts.
func TestClickWhileRenewing(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{})
	do(t, "POST", address+"/v2/enqueue", trigger, "Content-Type", "application/json")
	var at []float64
	mouse := func(what input.MouseType) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			return input.DispatchMouseEvent(what, at[0], at[1]).WithButton(input.Left).WithClickCount(1).Do(ctx)
		})
	}
	err := chromedp.Run(ctx, chromedp.Navigate(address), chromedp.WaitVisible("#fact-alerts"),
		chromedp.Evaluate(`(() => {
			const box = document.querySelector("#fact-alerts").getBoundingClientRect();
			return [box.x + box.width / 2, box.y + box.height / 2];
		})()`, &at),
		mouse(input.MousePressed))
	if err != nil {
		t.Fatal(err)
	}
	do(t, "POST", address+"/v2/enqueue", strings.Replace(trigger, `"k"`, `"another"`, 1), "Content-Type", "application/json")
	err = chromedp.Run(ctx,
		chromedp.Evaluate(`performance.clearResourceTimings()`, nil),
		chromedp.Poll(`performance.getEntriesByType("resource").filter((e) => e.initiatorType === "fetch").length > 1`, nil, chromedp.WithPollingTimeout(20*time.Second)),
		mouse(input.MouseReleased))
	if err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := chromedp.Run(within, chromedp.WaitVisible("article")); err != nil { // of the inbox
		t.Error("the click leads nowhere:", err)
	}
}
