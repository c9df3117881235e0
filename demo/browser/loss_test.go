package browser

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/history"
)

// somebodyIsAway cuts one off while others talk: what was said meanwhile is shown as missed, and what one said oneself
// arrives once.
func somebodyIsAway(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	w := newWire(t, s.address)
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(w.url, "Ben")
	ben.say("I am on a train")
	ada.awaitText("#log .text", "train")
	ada.awaitText("#users", "Ben")

	w.set(cut)
	ben.awaitText("#why", "again in")
	ada.await(func() bool { return ada.text("#count") == "1" }, func() string { return "Ben does not go" })
	for _, text := range []string{"one", "two", "three"} {
		ada.say(text)
	}
	ada.awaitCount("#log .own.sent", 3)
	ben.say("in a tunnel")
	ben.awaitText("#log .pending .fate", "sending")
	if n := ben.count("#log .text"); n != 2 {
		t.Errorf("%d messages are shown while Ben is away, want the 2 that are Ben's", n)
	}

	ben.screenshot("away")
	w.set(whole)
	ben.run(chromedp.Evaluate(`document.querySelector("#retry").click()`, nil))
	ben.awaitText("#log .away", "3 messages while you were away")
	ben.awaitCount("#log .own.sent", 2)
	ada.awaitText("#log .message:last-of-type .text", "in a tunnel")
	for _, tab := range []*tab{ada, ben} {
		if diff := cmp.Diff([]string{"I am on a train", "one", "two", "three", "in a tunnel"}, tab.texts("#log .text")); diff != "" {
			t.Errorf("the messages (-want +got):\n%s", diff)
		}
		tab.awaitCount("#log .pending, #log .failed, #log .gap", 0)
	}
	ben.awaitText("#reconnects", "1")
	ben.screenshot("back")
	ben.awaitText("#events", "connected again after")
	ada.awaitText("#log .own:last-of-type .fate, #log .own .fate", "seen by Ben")
}

// wireGoesSilent leaves the connection open but lets nothing through: the page finds out by its own ping, and comes
// back on a connection that is alive. Of the market it has missed something.
func wireGoesSilent(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	w := newWire(t, s.address)
	ada := newTab(browser, t)
	ada.enter(w.url, "Ada")
	ada.awaitText("#rtt", "ms")
	ada.awaitText("#market-state", "no gaps")
	w.set(silent)
	ada.say("can you hear me")
	// A hint by the browser has the page look at once and not in ten seconds.
	ada.run(chromedp.Evaluate(`dispatchEvent(new Event("offline"))`, nil))
	ada.awaitText("#events", "no answer to a ping")
	w.set(whole)
	ada.awaitText("#state", "connected")
	ada.awaitText("#log .own.sent .text", "can you hear me")
	ada.awaitText("#market-state", "1 gap")
	ada.awaitCount("#log .text", 1)
}

// serverRestarts drains the server under an open page and starts another at the same address, with the same messages
// and another key: the page is told, asks for a new token and goes on.
func serverRestarts(browser context.Context, t *testing.T) {
	store := openHistory(t)
	before := serve(t, demo.Config{History: store}, "")
	ada := newTab(browser, t)
	ada.enter(before.url, "Ada")
	ada.say("before")
	ada.awaitCount("#log .sent", 1)
	before.stop()
	ada.awaitText("#events", "the server restarts; again in")
	serve(t, demo.Config{History: store, Authority: newAuthority(t, "another key")}, before.address)
	ada.awaitText("#state", "connected")
	ada.say("after")
	ada.awaitCount("#log .sent", 2)
	if diff := cmp.Diff([]string{"before", "after"}, ada.texts("#log .text")); diff != "" {
		t.Errorf("the messages (-want +got):\n%s", diff)
	}
}

// forgetful is a store that can be exchanged for another, and so lose all that it had.
type forgetful struct {
	mu sync.Mutex
	history.Store
}

func (f *forgetful) now() history.Store {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Store
}

func (f *forgetful) forget(empty history.Store) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Store = empty
}

func (f *forgetful) Append(ctx context.Context, m history.Message) (history.Message, bool, error) {
	return f.now().Append(ctx, m)
}

func (f *forgetful) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	return f.now().After(ctx, room, after, limit)
}

func (f *forgetful) Latest(ctx context.Context, room string, limit int) ([]history.Message, error) {
	return f.now().Latest(ctx, room, limit)
}

func (f *forgetful) MarkRead(ctx context.Context, room, user string, seq uint64) error {
	return f.now().MarkRead(ctx, room, user, seq)
}

func (f *forgetful) Reads(ctx context.Context, room string) (map[string]uint64, error) {
	return f.now().Reads(ctx, room)
}

// serverForgets has the store lose all that was said, under open pages: they begin anew with what there is, and what is
// said from then on is no gap.
func serverForgets(browser context.Context, t *testing.T) {
	store := &forgetful{Store: openHistory(t)}
	s := serve(t, demo.Config{History: store}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	for i, text := range []string{"one", "two", "three"} {
		ada.say(text)
		ada.awaitCount("#log .sent", i+1)
		ben.awaitCount("#log .text", i+1)
	}
	store.forget(openHistory(t))
	after := []string{"four", "five", "six"}
	for i, text := range after {
		ben.say(text)
		for _, tab := range []*tab{ada, ben} {
			tab.await(func() bool { return slices.Equal(tab.texts("#log .text"), after[:i+1]) },
				func() string {
					return fmt.Sprintf("the messages are %q, want %q", tab.texts("#log .text"), after[:i+1])
				})
		}
	}
	for _, tab := range []*tab{ada, ben} {
		tab.awaitText("#log .note", "the server no longer has what was said before")
		tab.awaitCount("#log .pending, #log .failed, #log .gap", 0)
		if gaps := tab.text("#gaps"); gaps != "0" {
			t.Errorf("gaps: %s, want 0", gaps)
		}
	}
}

// deliveriesAreLost takes frames away before the page sees them: it finds out by the numbers and asks for them.
func deliveriesAreLost(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ben.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`
			const handler = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
			Object.defineProperty(WebSocket.prototype, "onmessage", {
				set(handle) {
					handler.set.call(this, (event) => {
						const env = JSON.parse(event.data);
						if (env.type !== "message" || !env.payload.text.startsWith("lost")) handle(event);
					});
				},
			});
		`).Do(ctx)
		return err
	}))
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	for _, text := range []string{"first", "lost one", "lost two", "last"} {
		ada.say(text)
	}
	ben.awaitText("#log .message:last-of-type .text", "last")
	ben.awaitCount("#log .text", 4)
	ben.awaitCount("#log .gap", 0)
	if diff := cmp.Diff([]string{"first", "lost one", "lost two", "last"}, ben.texts("#log .text")); diff != "" {
		t.Errorf("the messages (-want +got):\n%s", diff)
	}
	ben.awaitText("#gaps", "1, 2 messages got afterwards")
}
