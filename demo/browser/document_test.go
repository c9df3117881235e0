package browser

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/sockscope/sockscope/demo"
)

// edits opens the page of a document and enters under a name.
func (b *tab) edits(url, name string) {
	b.t.Helper()
	b.open(url + "/document/")
	b.run(chromedp.Evaluate(`document.querySelector("#name").select()`, nil), typed("#name", name+"\r"))
	b.awaitCount("#text:enabled", 1)
}

// insert puts text into the document at a place.
func (b *tab) insert(at int, text string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf(
		`document.querySelector("#text").focus(), document.querySelector("#text").setSelectionRange(%d, %d)`, at, at), nil),
		input.InsertText(text))
}

// awaitDocument waits until the text is as wanted, and is saved.
func (b *tab) awaitDocument(want string) {
	b.t.Helper()
	text := func() string { return evaluate[string](b, `document.querySelector("#text").value`) }
	b.await(func() bool { return text() == want && b.text("#saved") == "all changes are saved" },
		func() string {
			return fmt.Sprintf("the document is %q and %s, want %q", text(), b.text("#saved"), want)
		})
}

// twoPeopleEdit has two people edit one document, undo what is their own, and be without a connection for a while.
func twoPeopleEdit(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	w := newWire(t, s.address)
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.edits(s.url, "Ada")
	ben.edits(w.url, "Ben")
	ada.insert(0, "Hello 👋 world")
	ben.awaitDocument("Hello 👋 world")
	ben.insert(14, "!")
	ada.awaitDocument("Hello 👋 world!")
	ada.awaitCount(`#mirror .cursor[data-user="Ben"][data-at="15"]`, 1)
	ben.awaitText("#others", "Ada")

	w.set(cut)
	ben.await(func() bool { return ben.text("#state") != "connected" }, func() string { return "the wire is whole" })
	ben.insert(0, "Ben: ")
	ada.insert(15, " Ada")
	ada.awaitDocument("Hello 👋 world! Ada")
	w.set(whole)
	for _, tab := range []*tab{ada, ben} {
		tab.awaitDocument("Ben: Hello 👋 world! Ada")
	}
	ada.run(click("#undo"))
	ben.awaitDocument("Ben: Hello 👋 world!")
	ben.run(click("#undo"))
	ben.run(click("#undo"))
	ada.awaitDocument("Hello 👋 world")
	ben.run(click("#redo"))
	ada.awaitDocument("Hello 👋 world!")
	for _, width := range []int64{320, 1360} {
		ada.look(width, 860, "light")
		if wide := evaluate[int64](ada, `document.documentElement.scrollWidth`); wide > width {
			t.Errorf("on a screen of %d the page is %d wide", width, wide)
		}
		ada.screenshot(fmt.Sprintf("document-%d", width))
	}
}
