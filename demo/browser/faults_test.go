package browser

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
)

// faultIsSwitched switches a fault on in the panel, which is seen by everybody, and off again.
func faultIsSwitched(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada, ben := newTab(browser, t), newTab(browser, t)
	ada.enter(s.url, "Ada")
	ben.enter(s.url, "Ben")
	slow := `[data-fault="slow_handling"]`
	ada.run(click(slow+" summary"), chromedp.Evaluate(`
		document.querySelector('`+slow+` input').value = 250;
	`, nil), click(slow+" button"))
	ada.awaitText(slow+" .switched", "on · 250 ms")
	ada.awaitText(slow+" .switched", "s left")
	ben.awaitText("#fault-count", "1 fault on")

	began := time.Now()
	ben.say("slowly")
	ben.awaitText("#log .pending .fate", "sending")
	ben.awaitCount("#log .sent", 1)
	if took := time.Since(began); took < 250*time.Millisecond {
		t.Errorf("the message was handled in %v, the fault is not felt", took)
	}
	ben.run(click(slow + " summary"))
	ben.look(1360, 860, "dark")
	ben.screenshot("fault")
	ada.run(click("#heal"))
	ada.awaitText(slow+" .switched", "off")
	ada.await(func() bool { return ada.text("#fault-count") == "" }, func() string { return "a fault stays on" })

	ada.run(chromedp.Evaluate(`
		document.querySelector('`+slow+` form').noValidate = true;
		document.querySelector('`+slow+` input').value = 99999;
	`, nil), click(slow+" button"))
	ada.awaitText("#fault-trouble", "give 1 to 10000 ms")
	ada.awaitText(`[data-fault="backplane_down"] .switched`, "not here") // with one node there is none
	if !evaluate[bool](ada, `document.querySelector('[data-fault="backplane_down"] button').disabled`) {
		t.Error("a fault that is not to be had can be turned on")
	}
}

// faultsOfInstances shows the panel the answers of one of two instances, of which the other has a fault: it says so,
// turns that off everywhere, and reaches all where the box is ticked.
func faultsOfInstances(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`
			const ask = window.fetch;
			window.asked = [];
			window.fetch = async (url, request) => {
				if (!String(url).startsWith("/fault")) return ask(url, request);
				if (request.method) window.asked.push(request.method + " " + url);
				const answer = await (await ask(url, request)).json();
				for (const fault of answer.faults ?? [])
					if (fault.name === "slow_store" && window.asked.length === 0) fault.instances = ["two"];
				if (answer.faults) answer.instances = ["one", "two"];
				return Response.json(answer);
			};
		`).Do(ctx)
		return err
	}))
	ada.enter(s.url, "Ada")
	elsewhere, slow := `[data-fault="slow_store"]`, `[data-fault="slow_handling"]`
	ada.awaitText(elsewhere+" .switched", "on · two")
	ada.awaitText("#fault-count", "1 fault on")
	ada.run(click("#heal"))
	ada.awaitText(elsewhere+" .switched", "off")
	ada.run(click(slow+" summary"), click(slow+` input[type="checkbox"]`), click(slow+" button"))
	ada.awaitText(slow+" .switched", "s left")
	asked := []string{"DELETE /fault/slow_store?instances=all", "PUT /fault/slow_handling?instances=all"}
	if diff := cmp.Diff(asked, evaluate[[]string](ada, `window.asked`)); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// tokensExpire ends every token, old and new, at one moment: the page gets another when that has passed.
func tokensExpire(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.enter(s.url, "Ada")
	s.turnOn(t, "token_expiry", 1)
	ada.awaitText("#events", "the token has expired")
	ada.awaitText("#reconnects", "1")
	ada.say("here again")
	ada.awaitCount("#log .sent", 1)
}

// roomIsFlooded lets more be said than anybody can read. The page keeps the newest and stays usable.
func roomIsFlooded(browser context.Context, t *testing.T) {
	const kept = 300
	s := serve(t, demo.Config{}, "")
	ada := newTab(browser, t)
	ada.enter(s.url, "Ada")
	s.turnOn(t, "hot_room", 400)
	ada.await(func() bool { return ada.count("#log > *") == kept }, func() string {
		return fmt.Sprintf("%d lines are shown, want %d", ada.count("#log > *"), kept)
	})
	ada.say("can anybody read this?")
	s.turnOff(t, "hot_room")
	ada.say("and now?")
	ada.await(func() bool { return slices.Contains(ada.texts("#log .own.sent .text"), "and now?") },
		func() string { return "nothing can be said after the flood" })
	if n := ada.count("#log > *"); n > kept {
		t.Errorf("%d lines are kept, want at most %d", n, kept)
	}
	unwanted := "#log .gap, #log .pending, #log .failed"
	if ada.text("#reconnects") != "0" { // a machine too busy for the page: it says what it missed while it was away
		unwanted = "#log .gap.asking, #log .pending, #log .failed"
	}
	ada.awaitCount(unwanted, 0)
}

func (s *service) turnOn(t *testing.T, fault string, strength float64) {
	t.Helper()
	s.askFault(t, http.MethodPut, fault, fmt.Sprintf(`{"strength": %v, "duration": "1m"}`, strength))
}

func (s *service) turnOff(t *testing.T, fault string) {
	t.Helper()
	s.askFault(t, http.MethodDelete, fault, "")
}

func (s *service) askFault(t *testing.T, method, fault, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/fault/"+fault, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, fault, resp.Status)
	}
}
