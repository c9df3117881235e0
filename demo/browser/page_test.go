package browser

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
)

// TestMain runs more tests at once than there are processors, because they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// TestPage shares one browser, whose tabs know nothing of each other.
func TestPage(t *testing.T) {
	browser := newBrowser(t)
	for _, test := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"two people chat", twoPeopleChat},
		{"somebody is away", somebodyIsAway},
		{"the wire goes silent", wireGoesSilent},
		{"the server restarts", serverRestarts},
		{"the server forgets", serverForgets},
		{"deliveries are lost", deliveriesAreLost},
		{"several rooms", severalRooms},
		{"messages are numbered", messagesAreNumbered},
		{"a room is closed", roomIsClosed},
		{"a notification", notification},
		{"a fault is switched", faultIsSwitched},
		{"faults of several instances", faultsOfInstances},
		{"tokens expire", tokensExpire},
		{"a room is flooded", roomIsFlooded},
		{"the keyboard is enough", keyboardIsEnough},
		{"text stays text", textStaysText},
		{"players move", playersMove},
		{"two people edit", twoPeopleEdit},
		{"a token is renewed", tokenIsRenewed},
		{"a token runs out", tokenRunsOut},
		{"a token is wrong", tokenIsWrong},
		{"modules keep order", modulesKeepOrder},
		{"the console shows a connection", consoleShowsAConnection},
		{"the console finds faults", consoleFindsFaults},
		{"the console's charts", consoleChartsZoom},
		{"looks", looks},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(browser, t)
		})
	}
}

// twoPeopleChat lets two people meet in a room: each sees the other come, write, speak and read.
func twoPeopleChat(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	ada.awaitText("#users", "Ben")
	ben.awaitText("#users", "Ada")
	ada.awaitText("#count", "2")
	ada.awaitText("#log .note", "Ben joined")

	ada.say("Hello Ben")
	ben.awaitText("#log .text", "Hello Ben")
	ada.awaitText("#log .own .fate", "seen by Ben")
	ben.run(typed("#text", "Hel"))
	ada.awaitText("#typing", "Ben is typing")
	ben.say("lo Ada")
	ada.awaitText("#log .message:last-of-type .text", "Hello Ada")
	ada.await(func() bool { return ada.text("#typing") == "" }, func() string { return "Ben is typing for ever" })

	for _, tab := range []*tab{ada, ben} {
		if diff := cmp.Diff([]string{"Hello Ben", "Hello Ada"}, tab.texts("#log .text")); diff != "" {
			t.Errorf("the messages (-want +got):\n%s", diff)
		}
		for _, link := range evaluate[[]string](tab, `Array.from(document.querySelectorAll("#log a.trace"), (a) => a.href + " " + a.title)`) {
			var trace, title string
			if _, err := fmt.Sscanf(link, traceURL+"%32x trace %32s", &trace, &title); err != nil || fmt.Sprintf("%x", trace) != title {
				t.Errorf("a trace is linked as %q: %v", link, err)
			}
		}
		tab.awaitCount("#log a.trace", 2)
		tab.awaitText("#rtt", "ms")
		tab.awaitCount("#quotes li", 8)
	}
}

// withoutQuotes says how much lower the market is with prices than it was before they came.
const withoutQuotes = `(() => {
	const list = document.querySelector("#quotes"), full = list.getBoundingClientRect().height, quotes = [...list.children];
	list.replaceChildren();
	const empty = list.getBoundingClientRect().height;
	list.append(...quotes);
	return full - empty;
})()`

// looks measures the page, and takes its pictures, on screens and on a phone, by day and by night.
func looks(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben Longfellow the 2nd of Gotham")
	ben.say("Good morning! Has anybody looked at the market?")
	ada.awaitText("#log", "Good morning")
	ada.say("GLOBEX is moving. I have switched on a fault to see what the alert says.")
	ben.awaitText("#log", "GLOBEX is moving") // or his own message might not be the last
	ben.say("averylongwordwithoutanyspaces" + "averylongwordwithoutanyspacesaverylongwordwithoutanyspacesaverylongword")
	ben.awaitText("#log .own:last-of-type .fate", "seen")
	ada.say("And a last one")
	ada.run(click(`[data-fault="slow_handling"] summary`))
	ada.awaitText("#connections", "2")
	colours := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 390, 700, 1000, 1360} {
			ada.look(width, 860, scheme)
			if wide := evaluate[int64](ada, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("on a screen of %d the page is %d wide", width, wide)
			}
			ada.screenshot(fmt.Sprintf("%s-%d", scheme, width))
			if moved := evaluate[float64](ada, withoutQuotes); moved != 0 {
				t.Errorf("on a screen of %d everything moves by %v pixels when prices come", width, moved)
			}
		}
		colours[scheme] = evaluate[string](ada, `getComputedStyle(document.body).backgroundColor`)
	}
	if colours["light"] == colours["dark"] {
		t.Errorf("the page is %s by day and by night", colours["dark"])
	}
}
