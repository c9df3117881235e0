package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/sockscope/sockscope/demo"
)

// play opens the page of the game and enters under a name.
func (b *tab) play(url, name string) {
	b.t.Helper()
	b.open(url + "/game/")
	b.run(chromedp.Evaluate(`document.querySelector("#name").select()`, nil), typed("#name", name+"\r"))
	b.awaitText("#arena", name+" at ")
}

// hold presses or releases a key of the keyboard.
func (b *tab) hold(key string, what input.KeyType) {
	b.t.Helper()
	b.run(input.DispatchKeyEvent(what).WithKey(key))
}

// playersMove lets one player move, with keys and with a finger: both see it at the same place.
func playersMove(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.play(s.url, "Ada")
	ben.play(s.url, "Ben")
	ada.awaitText("#players", "2 players")
	ada.awaitText("#arena", "Ben at ")

	down := func(key string, is bool) {
		event := map[bool]string{true: "keydown", false: "keyup"}[is]
		ada.run(chromedp.Evaluate(fmt.Sprintf(
			`document.querySelector("#arena").dispatchEvent(new KeyboardEvent(%q, { key: %q, cancelable: true }))`, event, key), nil))
	}
	down("ArrowRight", true)
	down("ArrowDown", true)
	ada.awaitText("#place", "1600, 900")
	ben.awaitText("#arena", "Ada at 1600, 900")
	down("ArrowRight", false)
	down("ArrowDown", false)
	ada.run(chromedp.Evaluate(`document.querySelector("#arena").focus()`, nil))
	ada.hold("ArrowLeft", input.KeyDown)
	ben.await(func() bool { return !strings.Contains(ben.text("#arena"), "Ada at 1600") },
		func() string { return "Ben sees " + ben.text("#arena") + ": a key moves nobody" })
	ada.hold("ArrowLeft", input.KeyUp)

	ben.run(press("#arena"))
	ben.awaitText("#arena", "Ben at ")
	ada.await(func() bool {
		var x, y int
		_, place, _ := strings.Cut(ada.text("#arena"), "Ben at ")
		_, err := fmt.Sscanf(place, "%d, %d", &x, &y)
		return err == nil && x > 770 && x < 830 && y > 420 && y < 480
	}, func() string { return "Ada sees " + ada.text("#arena") + ": Ben is not where his finger is" })
	ben.run(release("#arena"))
	ben.run(chromedp.Navigate("about:blank"))
	ada.awaitText("#players", "1 player")
	for _, width := range []int64{320, 1360} {
		ada.look(width, 860, "light")
		if wide := evaluate[int64](ada, `document.documentElement.scrollWidth`); wide > width {
			t.Errorf("on a screen of %d the page is %d wide", width, wide)
		}
		ada.screenshot(fmt.Sprintf("game-%d", width))
	}
}
