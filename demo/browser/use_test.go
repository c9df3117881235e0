package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/demo"
)

// severalRooms counts what is unread in a room that is not looked at, and keeps each room's draft.
func severalRooms(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ada.say("from the past")
	ada.awaitCount("#log .sent", 1)
	ben.enter(s.url, "Ben")
	ben.awaitText("#log .text", "from the past")
	ben.run(typed("#text", "half a sent"), typed("#room", "quiet.corner\r"))
	ben.awaitText("#room-name", "quiet.corner")
	ben.awaitCount("#log .text", 0)
	ben.awaitText("#users", "Ben")

	ada.say("are you there")
	ada.say("Ben?")
	ben.awaitText("#rooms .unread", "2")
	if title := evaluate[string](ben, `document.title`); !strings.HasPrefix(title, "(2)") {
		t.Errorf("the title is %q, want it to tell of 2 messages", title)
	}
	ben.run(press("#rooms li:first-child .tab"))
	ada.say("Or not?") // a click is one whatever comes while the mouse is down
	ben.awaitText("#rooms .unread", "3")
	ben.run(release("#rooms li:first-child .tab"))
	ben.awaitCount("#rooms .unread", 0)
	ben.awaitCount("#log .text", 4)
	if draft := evaluate[string](ben, `document.querySelector("#text").value`); draft != "half a sent" {
		t.Errorf("of the draft there is %q", draft)
	}

	ben.run(page.Reload())
	ben.awaitCount("#rooms li", 2)
	ben.awaitCount("#log .text", 4)
	ben.run(click(`[aria-label="Leave lobby"]`))
	ben.awaitCount("#rooms li", 1)
	ben.awaitText("#room-name", "quiet.corner")
	ada.await(func() bool { return ada.text("#count") == "1" }, func() string { return "Ben does not leave" })
}

// messagesAreNumbered compares the number that the page gives a message with the one on the server's span.
func messagesAreNumbered(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.enter(s.url, "Ada")
	for i, text := range []string{"one", "two"} {
		ada.say(text)
		ada.awaitCount("#log .sent", i+1)
		title := evaluate[string](ada, `Array.from(document.querySelectorAll("#log a.trace")).at(-1).title`)
		var trace, direction, connection string
		var number int64
		if _, err := fmt.Sscanf(title, "trace %32s; %s message %d of connection %s", &trace, &direction, &number, &connection); err != nil {
			t.Fatalf("the trace's title is %q: %v", title, err)
		}
		want := map[attribute.Key]attribute.Value{
			"connection.id":            attribute.StringValue(connection),
			"websocket.message.number": attribute.Int64Value(number),
			"websocket.message.type":   attribute.StringValue("message"),
		}
		ada.await(func() bool {
			return slices.ContainsFunc(s.spans.Ended(), func(span sdktrace.ReadOnlySpan) bool {
				found := 0
				for _, a := range span.Attributes() {
					if a.Value == want[a.Key] {
						found++
					}
				}
				// The page shows the trace that the message got here, or until it knows that, the one it began itself.
				traces := []string{span.SpanContext().TraceID().String()}
				for _, l := range span.Links() {
					traces = append(traces, l.SpanContext.TraceID().String())
				}
				return found == len(want) && slices.Contains(traces, trace)
			})
		}, func() string { return "no span is that of " + title })
	}
}

// roomIsClosed says something in a room that one may not enter.
func roomIsClosed(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.enter(s.url, "Ada")
	ada.run(typed("#room", "private.club\r"))
	ada.awaitText("#room-state", "your token does not open this room")
	ada.say("let me in")
	ada.awaitText("#log .failed .fate", "not sent: your token does not open this room")
	ada.run(click("#log .failed button"))
	ada.awaitCount("#log .failed", 1)
	ada.awaitCount("#log .pending", 0)
}

func notification(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	ada.awaitText("#users", "Ben")
	ada.run(click(`.person[title="Notify Ben"]`), typed("#notify-text", "lunch?\r"))
	ada.awaitText("#toasts", "Ben was notified")
	ben.awaitText("#toasts", "lunch?")
	ben.awaitText("#toasts strong", "From Ada")
	ben.look(390, 860, "light")
	ben.screenshot("toast")
	ben.run(click("#toasts button"))
	ben.awaitCount("#toasts li", 0)
}

// keyboardIsEnough does without a mouse: from what has the focus, Tab leads to everything.
func keyboardIsEnough(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.open(s.url)
	ada.press("Ada", kb.Enter)
	ada.awaitText("#users", "Ada")
	ada.press("by keys", kb.Enter)
	ada.awaitText("#log .text", "by keys")

	reach := func(selector string) {
		t.Helper()
		for range 80 {
			if evaluate[bool](ada, `document.activeElement.matches(`+"`"+selector+"`"+`)`) {
				return
			}
			ada.press(kb.Tab)
		}
		t.Fatalf("Tab does not lead to %s", selector)
	}
	reach("#room")
	ada.press("second", kb.Enter)
	ada.awaitText("#room-name", "second")
	reach("#rooms li:first-child .tab")
	ada.press(kb.Enter)
	ada.awaitText("#room-name", "lobby")
	if got := evaluate[string](ada, `document.activeElement.textContent`); got != "lobby" {
		t.Errorf("the focus went from the room to %q", got)
	}
	if outline := evaluate[string](ada, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
		t.Error("what has the focus can't be seen")
	}
	reach("#log .trace")
	reach(`[data-fault="handshake_errors"] summary`)
	ada.press(kb.Enter)
	reach(`[data-fault="handshake_errors"] button`)
	ada.press(" ")
	ada.awaitText("#fault-count", "1 fault on")
	reach("#heal")
	ada.press(kb.Enter)
	ada.await(func() bool { return ada.text("#fault-count") == "" }, func() string { return "the fault stays on" })

	nameless := evaluate[[]string](ada, `Array.from(document.querySelectorAll("#app button, #app input, #app textarea"))
		.filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)`)
	if diff := cmp.Diff([]string{}, nameless); diff != "" {
		t.Errorf("without a name for who does not see (-want +got):\n%s", diff)
	}
}

// textStaysText says what would be markup.
func textStaysText(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	evil, ben := newTab(browser, t), newTab(browser, t)
	name := `<img src=x onerror=alert(1)>`
	evil.enter(s.url, name)
	ben.enter(s.url, "Ben")
	ben.awaitText("#users", name)
	texts := []string{`<script>alert(2)</script>`, `<img src=x onerror="alert(3)">`, `javascript:alert(4)`, `"><svg/onload=alert(5)>&amp;`}
	for _, text := range texts {
		evil.say(text)
	}
	evil.run(typed("#text", "…"))
	ben.awaitText("#typing", name)
	evil.run(click(`.person[title="Notify Ben"]`), typed("#notify-text", `<b onclick=alert(6)>x</b>`+"\r"))
	ben.awaitText("#toasts p", `<b onclick=alert(6)>x</b>`)
	ben.awaitCount("#log .text", len(texts))
	if diff := cmp.Diff(texts, ben.texts("#log .text")); diff != "" {
		t.Errorf("the messages (-want +got):\n%s", diff)
	}
	for _, tab := range []*tab{evil, ben} {
		tab.awaitCount("#app img, #app script, #app b, #toasts b, #log svg, #app [onerror]", 0)
	}
}

// tokenIsRenewed lets tokens last so short a time that the connection outlives several.
func tokenIsRenewed(browser context.Context, t *testing.T) {
	authority := newAuthority(t, "a key")
	authority.MaxLifetime = 10 * time.Second
	s := serve(t, demo.Config{Authority: authority}, "")
	ada := newTab(browser, t)
	ada.enter(s.url, "Ada")
	var issued int
	ada.await(func() bool {
		issued = evaluate[int](ada, `performance.getEntriesByName(location.origin + "/auth/token").length`)
		return evaluate[float64](ada, `performance.now()`) > 11_000 && issued >= 2
	}, func() string { return "the token is not renewed" })
	ada.say("still here")
	ada.awaitCount("#log .sent", 1)
	if n := ada.text("#reconnects"); n != "0" {
		t.Errorf("the connection was lost %s times", n)
	}
}

// tokenRunsOut brings a token along that can't be renewed.
func tokenRunsOut(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{DevTokens: demo.Off}, "")
	carla := newTab(browser, t)
	carla.open(s.url)
	carla.run(click("#entry summary"))
	token, err := s.authority.Issue("Carla", nil, 10*time.Second) // enough to come in on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	carla.run(typed("#token", token+"\r"))
	carla.awaitText("#me", "Carla")
	carla.awaitText("#refusal", "the token has expired")
	carla.screenshot("refused")
	carla.run(click("#enter"))
	carla.await(func() bool { return carla.text("#refusal") == "" }, func() string { return "the page does not begin again" })
	carla.awaitCount("#enter:enabled", 1)
	carla.run(typed("#name", "x\r"))
	carla.awaitText("#refusal", "this server issues no tokens")
}

// tokenIsWrong brings a token along that is none, and one that the server does not know. That a server is full or not
// there for a while says nothing about a token.
func tokenIsWrong(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{DevTokens: demo.Off}, "")
	w := newWire(t, s.address)
	stranger, err := newAuthority(t, "a stranger's key").Issue("Carla", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bring := func(url, token string) *tab {
		carla := newTab(browser, t)
		carla.open(url)
		carla.run(click("#entry summary"), typed("#token", token+"\r"))
		return carla
	}
	bring(s.url, "my token, which is none").awaitText("#refusal", "that is no token")
	bring(s.url, stranger).awaitText("#refusal", "the token is signed by nobody known here")

	token, err := s.authority.Issue("Carla", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	carla := bring(w.url, token)
	carla.awaitText("#me", "Carla")
	s.turnOn(t, "connection_limit", 1)
	another := bring(s.url, token)
	another.awaitText("#why", "again in")
	s.turnOff(t, "connection_limit")
	another.awaitText("#state", "connected")
	w.set(cut)
	carla.awaitText("#events", "the server does not answer")
	w.set(whole)
	carla.run(chromedp.Evaluate(`document.querySelector("#retry").click()`, nil))
	carla.awaitText("#state", "connected")
}
