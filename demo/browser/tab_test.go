// Package browser tests the demo's page in a real browser.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const patience = time.Minute

// newBrowser starts Chromium, which has to be installed.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the page is tested in Chromium, which is not installed: make test installs it on Debian")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1360, 860),
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

	mu       sync.Mutex
	failures []string
}

// newTab opens a tab. Errors in its page fail the test.
func newTab(browser context.Context, t *testing.T) *tab {
	t.Helper()
	// By hand, because chromedp asks for no window, without which Chromium opens no tab in a new profile.
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
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		if err := target.DisposeBrowserContext(profile).Do(executor); err != nil { // and its tab
			t.Errorf("close a tab: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, failure := range b.failures {
			t.Error("in the page: " + failure)
		}
	})
	chromedp.ListenTarget(ctx, b.watch)
	// Without a deadline of its own: the first context that a tab is used with is the one it ends with.
	if err := chromedp.Run(ctx, log.Enable(), runtime.Enable()); err != nil {
		t.Fatalf("attach to a tab: %v", err)
	}
	return b
}

// watch keeps what goes wrong in the page. That a connection is lost is told by the browser as well, and no failure.
func (b *tab) watch(event any) {
	failure := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		failure = e.ExceptionDetails.Error()
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError && e.Entry.Source != log.SourceNetwork && !strings.Contains(e.Entry.Text, "WebSocket connection to") {
			failure = fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		failure = "a dialog: " + e.Message
	}
	if failure == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, failure)
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open opens the page. Here and elsewhere elements are found by scripts and not by chromedp's own copy of the document,
// which now and then stays empty in a tab that was opened by hand.
func (b *tab) open(url string) {
	b.t.Helper()
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, failure, _, err := page.Navigate(url).Do(ctx)
		if err == nil && failure != "" {
			err = fmt.Errorf("open %s: %s", url, failure)
		}
		return err
	}))
	b.awaitCount("#enter:enabled", 1)
}

// enter opens the page and enters under a name.
func (b *tab) enter(url, name string) {
	b.t.Helper()
	b.open(url)
	b.run(chromedp.Evaluate(`document.querySelector("#name").select()`, nil), typed("#name", name+"\r"))
	b.awaitText("#state", "connected")
	b.awaitText("#users", name)
}

// say writes a message and sends it.
func (b *tab) say(text string) {
	b.t.Helper()
	b.run(typed("#text", text+"\r"))
}

// press presses keys, whatever has the focus.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.run(chromedp.KeyEvent(key))
	}
}

// evaluate returns what a script comes to.
func evaluate[T any](b *tab, script string) (value T) {
	b.t.Helper()
	b.run(chromedp.Evaluate(script, &value))
	return value
}

// text returns the text of the first element that a selector names, as it is in the document.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.textContent ?? ""`, selector))
}

// texts returns the texts of all elements that a selector names.
func (b *tab) texts(selector string) []string {
	b.t.Helper()
	return evaluate[[]string](b, fmt.Sprintf(`Array.from(document.querySelectorAll(%q), (e) => e.textContent)`, selector))
}

func (b *tab) count(selector string) int {
	b.t.Helper()
	return len(b.texts(selector))
}

func (b *tab) awaitText(selector, part string) {
	b.t.Helper()
	b.await(func() bool { return strings.Contains(b.text(selector), part) },
		func() string { return fmt.Sprintf("%s holds %q, want %q in it", selector, b.text(selector), part) })
}

func (b *tab) awaitCount(selector string, n int) {
	b.t.Helper()
	b.await(func() bool { return b.count(selector) == n },
		func() string { return fmt.Sprintf("there are %d of %s, want %d", b.count(selector), selector, n) })
}

func (b *tab) await(holds func() bool, otherwise func() string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal(otherwise())
		}
	}
}

// look sets the size of the window and the colours that its user prefers.
func (b *tab) look(width, height int64, scheme string) {
	b.t.Helper()
	b.run(
		chromedp.EmulateViewport(width, height),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	)
}

// screenshot keeps a picture of the page where SCREENSHOTS names a folder.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	b.run(chromedp.CaptureScreenshot(&picture))
	if err := os.WriteFile(folder+"/page-"+name+".png", picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// typed puts text into an element where its cursor is. One that ends in "\r" is followed by Enter.
func typed(selector, text string) chromedp.Action {
	line, enter := strings.CutSuffix(text, "\r")
	actions := chromedp.Tasks{
		chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).focus()`, selector), nil),
		input.InsertText(line),
	}
	if enter {
		actions = append(actions, chromedp.KeyEvent(kb.Enter))
	}
	return actions
}

// click waits for an element and clicks where it is.
func click(selector string) chromedp.Action {
	return at(selector, chromedp.MouseClickXY)
}

// press presses the mouse on what the selector finds, and release releases it there.
func press(selector string) chromedp.Action {
	return at(selector, func(x, y float64, _ ...chromedp.MouseOption) chromedp.MouseAction {
		return chromedp.MouseEvent(input.MousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1))
	})
}

func release(selector string) chromedp.Action {
	return at(selector, func(x, y float64, _ ...chromedp.MouseOption) chromedp.MouseAction {
		return chromedp.MouseEvent(input.MouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1))
	})
}

// at does something with the mouse in the middle of what the selector finds, as soon as that is there, rests, and
// nothing covers it.
func at(selector string, do func(x, y float64, _ ...chromedp.MouseOption) chromedp.MouseAction) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		script := fmt.Sprintf(`(() => {
			const element = document.querySelector(%q);
			if (!element) return [];
			element.scrollIntoView({ block: "center" });
			const box = element.getBoundingClientRect();
			const at = [box.x + box.width / 2, box.y + box.height / 2];
			return box.width > 0 && element.contains(document.elementFromPoint(...at)) ? at : [];
		})()`, selector)
		var before []float64
		for {
			var at []float64
			if err := chromedp.Evaluate(script, &at).Do(ctx); err != nil {
				return fmt.Errorf("find %s: %w", selector, err)
			}
			if len(at) == 2 && slices.Equal(at, before) {
				return do(at[0], at[1]).Do(ctx)
			}
			before = at
			if err := chromedp.Sleep(30 * time.Millisecond).Do(ctx); err != nil {
				return fmt.Errorf("wait for %s: %w", selector, err)
			}
		}
	})
}
