package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	width  = 1200
	height = 800

	// stepTimeout is how long something may take to appear: an alert takes two minutes.
	stepTimeout = 3 * time.Minute
)

// A step is something that a user does at a page, or waits for.
type step struct {
	words  string
	action func(*viewer) chromedp.Action
}

func plain(words string, action chromedp.Action) step {
	return step{words, func(*viewer) chromedp.Action { return action }}
}

// open goes to an address.
func open(address string) step { return plain("open "+address, chromedp.Navigate(address)) }

// see waits until the page shows a text.
func see(text string) step {
	return plain(fmt.Sprintf("see %q", text), until(`text => document.body.innerText.includes(text)`, nil, text))
}

// click clicks on the first link, button or fold with a text.
func click(text string) step {
	return plain(fmt.Sprintf("click on %q", text), clickOn("a, button, summary", text))
}

// clickFirst clicks on the first element that a selector finds.
func clickFirst(selector string) step {
	return plain("click on the first "+selector, clickOn(selector, ""))
}

// clickOn presses the mouse in the middle of the element, wherever it is by then: pages renew themselves. If it is a
// link to another page, clickOn waits until this page is left, or the next click could be on what is still there of it.
func clickOn(selector, text string) chromedp.Action {
	const middle = `(selector, text) => {
		const found = [...document.querySelectorAll(selector)].find(e => e.checkVisibility() && e.textContent.includes(text));
		if (!found) return null;
		found.scrollIntoView({ block: "center", behavior: "instant" });
		const box = found.getClientRects()[0];
		const to = found.closest("a")?.href.split("#")[0];
		window.leaving = Boolean(to) && to !== location.href.split("#")[0];
		return [box.x + box.width / 2, box.y + box.height / 2];
	}`
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var at []float64
		if err := until(middle, &at, selector, text).Do(ctx); err != nil {
			return err
		}
		if err := chromedp.MouseClickXY(at[0], at[1]).Do(ctx); err != nil {
			return err
		}
		return until(`() => !window.leaving`, nil).Do(ctx)
	})
}

// until calls a function in the page until it returns something, which it decodes into result. A page may be on its way
// to another one meanwhile.
func until(function string, result any, arguments ...string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		encoded, err := json.Marshal(append([]string{}, arguments...)) // never null
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		defer cancel()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			var answer json.RawMessage
			err := chromedp.Evaluate("("+function+")(..."+string(encoded)+")", &answer).Do(ctx)
			if text := string(answer); err == nil && text != "null" && text != "false" {
				if result == nil {
					return nil
				}
				return json.Unmarshal(answer, result)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("it did not come within %v", stepTimeout), err)
			}
		}
	})
}

// scrollTo has the first element that a selector finds in the middle of the window.
func scrollTo(selector string) step {
	const scroll = `selector => {
		const found = document.querySelector(selector);
		found?.scrollIntoView({ block: "center", behavior: "instant" });
		return !!found;
	}`
	return plain("scroll to "+selector, until(scroll, nil, selector))
}

// pause waits for charts to fill: there is no event to wait for.
func pause(d time.Duration) step { return plain("wait "+d.String(), chromedp.Sleep(d)) }

// look chooses the light or the dark theme.
func look(theme string) step {
	return plain("choose the theme "+theme, emulation.SetEmulatedMedia().
		WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}))
}

// picture keeps what the window shows.
func picture(name string) step {
	return step{"take the picture " + name, func(v *viewer) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			var shot []byte
			if err := chromedp.CaptureScreenshot(&shot).Do(ctx); err != nil {
				return err
			}
			full, err := png.Decode(bytes.NewReader(shot))
			if err != nil {
				return err
			}
			small, err := compress(full)
			if err != nil {
				return err
			}
			return os.WriteFile(pictureFile(v.out, name), small, 0o644)
		})
	}}
}

// A viewer does the steps in a browser.
type viewer struct {
	ctx context.Context
	out string
}

// newViewer starts a headless Chromium. The returned function stops it.
func newViewer(ctx context.Context, out string) (*viewer, func(), error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, fmt.Errorf("pictures are taken in Chromium: install it: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(width, height), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, cancel := chromedp.NewContext(ctx)
	v := &viewer{ctx: ctx, out: out}
	if err := v.do(plain("choose the size", chromedp.EmulateViewport(width, height))); err != nil {
		cancel()
		stop()
		return nil, nil, err
	}
	return v, func() { cancel(); stop() }, nil
}

// do does steps, and says what each took.
func (v *viewer) do(steps ...step) error {
	for _, s := range steps {
		start := time.Now()
		if err := chromedp.Run(v.ctx, s.action(v)); err != nil {
			// The page tells why.
			_ = chromedp.Run(v.ctx, picture("failed").action(v))
			return fmt.Errorf("%s, see %s: %w", s.words, pictureFile(v.out, "failed"), err)
		}
		fmt.Fprintf(os.Stderr, "%8.1f s  %s\n", time.Since(start).Seconds(), s.words)
	}
	return nil
}
