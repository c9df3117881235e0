// Package browser tests the demo's page in a real browser.
package browser

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo"
)

const patience = 30 * time.Second

// TestTwoTabsChat lets two people meet in a room: each sees the other come,
// both see what is said, and the trace is linked.
func TestTwoTabsChat(t *testing.T) {
	s := newService(t, "")
	browser := newBrowser(t)
	ada, ben := newTab(browser, t), newTab(browser, t)

	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	ada.awaitText("#users", "Ben")
	ben.awaitText("#users", "Ada")

	ada.say("Hello <b>Ben</b>")
	ben.awaitText("#log", "Hello <b>Ben</b>")
	ben.say("Hello Ada")
	ada.awaitText("#log", "Hello Ada")

	for _, tab := range []*tab{ada, ben} {
		trace := tab.text("#trace a")
		if len(trace) != 32 {
			t.Errorf("the trace is %q, want 32 digits", trace)
		}
		if href := tab.attribute("#trace a", "href"); href != "http://trace.example/trace/"+trace {
			t.Errorf("the trace links to %q", href)
		}
		tab.awaitText("#rtt", "ms")
		if state := tab.text("#state"); state != "connected" {
			t.Errorf("the state is %q", state)
		}
		if n := tab.count("#log li:not(.notice)"); n != 2 {
			t.Errorf("%d messages are shown, want each of 2 once", n)
		}
		if n := tab.count("#log .pending, #log .failed"); n != 0 {
			t.Errorf("%d messages are shown as not acknowledged", n)
		}
	}
	ben.screenshot("chat.png")
}

// TestTabComesBack takes the server away under an open page and brings another
// to the same address: the page has to find it and join again.
func TestTabComesBack(t *testing.T) {
	s := newService(t, "")
	ada := newTab(newBrowser(t), t)
	ada.enter(s.url, "Ada")
	ada.awaitText("#state", "connected")
	s.stop()
	ada.awaitText("#log", "the server restarts")
	ada.awaitText("#state", "again in")
	newService(t, strings.TrimPrefix(s.url, "http://"))
	ada.awaitText("#state", "connected")
	ada.awaitText("#reconnects", "1")
	ada.say("still here")
	ada.awaitGone("#log .pending")
}

// TestPhoneInTheDark looks at the page where it is narrow and dark.
func TestPhoneInTheDark(t *testing.T) {
	s := newService(t, "")
	ada := newTab(newBrowser(t), t)
	ada.enter(s.url, "Ada")
	ada.say(strings.Repeat("longword", 30))
	ada.awaitGone("#log .pending")
	var light, dark string
	var wide bool
	ada.run(
		chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &light),
		chromedp.EmulateViewport(360, 640),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
		chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &dark),
		chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide),
	)
	if light == dark {
		t.Errorf("the page is %s in the light and in the dark", dark)
	}
	if wide {
		t.Error("the page is wider than a phone")
	}
	ada.screenshot("phone.png")
}

// service is a demo that listens at url.
type service struct {
	url  string
	stop func()
}

func newService(t *testing.T, address string) *service {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	chat, err := demo.New(demo.Config{
		SampleRatio: 1, TraceURL: "http://trace.example/trace/",
		TracerProvider: sdktrace.NewTracerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: chat.Handler(), ReadHeaderTimeout: patience}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends by Close
	}()
	stopped := false
	s := &service{url: "http://" + listener.Addr().String(), stop: func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := chat.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		<-served
	}}
	t.Cleanup(s.stop)
	return s
}

// newBrowser starts Chromium, which has to be installed.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the page is tested in Chromium, which is not installed: apt-get install chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1000, 700),
		chromedp.WSURLReadTimeout(2*patience),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(browser); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return browser
}

// tab is a page in a profile of its own, as on another person's machine.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func newTab(browser context.Context, t *testing.T) *tab {
	t.Helper()
	// By hand, because chromedp asks for no window, without which Chromium
	// opens no tab in a new profile.
	executor := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	profile, err := target.CreateBrowserContext().Do(executor)
	if err != nil {
		t.Fatalf("make a browser profile: %v", err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(executor)
	if err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	t.Cleanup(cancel)
	return &tab{t: t, ctx: ctx}
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// enter opens the page and joins the lobby by keyboard alone.
func (b *tab) enter(url, name string) {
	b.t.Helper()
	b.run(
		chromedp.Navigate(url),
		chromedp.Evaluate(`document.querySelector("#name").select()`, nil),
		chromedp.SendKeys("#name", name, chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("#room").select()`, nil),
		chromedp.SendKeys("#room", "lobby\r", chromedp.ByQuery),
	)
	b.awaitText("#users", name)
}

func (b *tab) say(text string) {
	b.t.Helper()
	b.run(chromedp.SendKeys("#text", text+"\r", chromedp.ByQuery))
}

func (b *tab) text(selector string) (text string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector), &text))
	return text
}

func (b *tab) attribute(selector, name string) (value string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.getAttribute(%q) ?? ""`, selector, name), &value))
	return value
}

func (b *tab) count(selector string) (n int) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll(%q).length`, selector), &n))
	return n
}

func (b *tab) awaitText(selector, part string) {
	b.t.Helper()
	b.await(func() bool { return strings.Contains(b.text(selector), part) },
		func() string { return fmt.Sprintf("%s holds %q, want %q in it", selector, b.text(selector), part) })
}

func (b *tab) awaitGone(selector string) {
	b.t.Helper()
	b.await(func() bool { return b.count(selector) == 0 }, func() string { return selector + " stays" })
}

func (b *tab) await(holds func() bool, otherwise func() string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal(otherwise())
		}
	}
}

// screenshot keeps a picture of the page where SCREENSHOTS names a folder.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	b.run(chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(folder+"/"+name, picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
