package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
)

// modulesKeepOrder tries what the page is made of by itself, where a server would have to misbehave.
func modulesKeepOrder(browser context.Context, t *testing.T) {
	s := serve(t, demo.Config{}, "")
	tab := newTab(browser, t)
	tab.open(s.url)
	const room = `
		const { Room } = await import("/room.js");
		const room = new Room("lobby", "Ada");
		const asked = [];
		room.addEventListener("gap", ({ detail }) => asked.push(detail.after));
		const message = (seq, id = "m" + seq, from = "Ben") => ({ seq, id, from, text: id, at: "2026-01-02T15:04:05Z" });
		const shown = () => room.log.entries.map((e) => e.kind === "message" ? e.text : e.kind === "gap" ? e.state + " " + e.missing : e.kind === "away" ? "away " + e.count : e.text);
	`
	for _, test := range []struct {
		name, script, want string
	}{
		{"in order", room + `
			room.joined(3); room.resumed();
			const news = [message(4), message(5)].map((m) => room.deliver(m));
			return [news, shown(), room.last, asked];`,
			`[[true,true],["m4","m5"],5,[]]`},
		{"repeated", room + `
			room.joined(3); room.resumed();
			const news = [message(4), message(4)].map((m) => room.deliver(m));
			return [news, shown(), room.last, asked];`,
			`[[true,false],["m4"],4,[]]`},
		{"reordered", room + `
			room.joined(3); room.resumed();
			for (const m of [message(4), message(6), message(5)]) room.deliver(m);
			const before = shown();
			room.fill([message(5), message(6)]);
			const found = room.settle();
			return [before, shown(), room.last, asked, found];`,
			`[["m4","m5","asking 1","m6"],["m4","m5","m6"],6,[4],1]`},
		{"skipped and in the history", room + `
			room.joined(3); room.resumed();
			for (const m of [message(4), message(7)]) room.deliver(m);
			const before = shown();
			const news = room.fill([message(5), message(6), message(7)]);
			room.settle();
			return [before, news, shown(), room.last, asked];`,
			`[["m4","asking 2","m7"],2,["m4","m5","m6","m7"],7,[4]]`},
		{"skipped and nowhere", room + `
			room.joined(3); room.resumed();
			for (const m of [message(4), message(7)]) room.deliver(m);
			room.fill([message(6), message(7)]);
			room.settle();
			room.deliver(message(8));
			return [shown(), room.last, asked];`,
			`[["m4","m6","lost 1","m7","m8"],8,[4]]`},
		{"two gaps at once", room + `
			room.joined(0); room.resumed();
			for (const m of [message(1), message(3), message(6)]) room.deliver(m);
			const before = shown();
			room.fill([message(2), message(3), message(4), message(5), message(6)]);
			room.settle();
			return [before, shown(), room.last];`,
			`[["m1","asking 1","m3","asking 2","m6"],["m1","m2","m3","m4","m5","m6"],6]`},
		{"wrongly numbered, which the history puts right", room + `
			room.joined(3); room.resumed();
			for (const m of [message(4), message(6, "m5"), message(5, "m6")]) room.deliver(m);
			room.fill([message(5), message(6)]);
			room.settle();
			return [shown(), room.last];`,
			`[["m4","m5","m6"],6]`},
		{"my own message is no gap before it is delivered", room + `
			room.joined(3); room.resumed();
			const mine = room.log.add({ kind: "message", id: "mine", from: "Ada", text: "mine", state: "pending" });
			room.log.change(mine, { state: "sent", seq: 5 });
			room.deliver(message(4));
			room.deliver(message(6));
			return [shown(), room.last, asked];`,
			`[["m4","mine","m6"],6,[]]`},
		{"pending ones stay at the end", room + `
			room.joined(3); room.resumed();
			const mine = room.log.add({ kind: "message", id: "mine", from: "Ada", text: "mine", state: "pending" });
			room.deliver(message(4));
			const before = shown();
			room.deliver({ ...message(5, "mine", "Ada"), text: "mine" });
			return [before, shown(), mine.state, mine.seq, room.last];`,
			`[["m4","mine"],["m4","mine"],"sent",5,5]`},
		{"missed while away", room + `
			room.joined(3); room.resumed();
			room.deliver(message(4));
			room.suspend();
			room.fill([message(5), message(6, "m6", "Ada"), message(7)]);
			const more = room.joined(7);
			room.resumed();
			room.deliver(message(8));
			return [more, shown(), room.last, asked];`,
			`[false,["m4","away 2","m5","m6","m7","m8"],8,[]]`},
		{"the server has lost its history", room + `
			room.joined(3); room.resumed();
			room.deliver(message(4));
			room.log.add({ kind: "message", id: "mine", from: "Ada", text: "mine", state: "pending" });
			room.suspend();
			room.setPeople({ users: [], count: 0, seq: 1 });
			const more = room.joined(1);
			return [more, shown(), room.last];`,
			`[true,["mine","the server no longer has what was said before"],1]`},
		{"something is said while one comes back", room + `
			room.joined(3); room.resumed();
			room.suspend();
			room.fill([message(4), message(5)]);
			room.deliver(message(6));
			room.setPeople({ users: [], count: 0, seq: 6 });
			const more = room.joined(5);
			room.resumed();
			return [more, shown(), room.last, asked];`,
			`[false,["away 2","m4","m5","m6"],6,[]]`},
		{"the server counts anew", room + `
			let forgotten = 0;
			room.addEventListener("forgotten", () => forgotten++);
			room.joined(3); room.resumed();
			room.deliver(message(4));
			const again = (seq) => ({ ...message(seq, "n" + seq), at: "2026-01-02T15:04:0" + (5 + seq) + ".5Z" });
			const news = [again(1), again(1), again(2), message(1), again(3)].map((m) => room.deliver(m));
			return [news, forgotten, room.last, asked, shown()];`,
			`[[true,false,true,true,true],1,3,[0],["the server no longer has what was said before","n1","m1","n2","n3"]]`},
		{"bounded", room + `
			room.joined(0); room.resumed();
			for (let seq = 1; seq <= 1000; seq++) room.deliver(message(seq));
			return [room.log.entries.length, room.log.entries[0].seq, room.log.message("m1") === undefined];`,
			`[300,701,true]`},
		{"envelopes", `
			const { envelope } = await import("/envelope.js");
			const made = Array.from({ length: 100 }, () => envelope("ping"));
			return [
				new Set(made.map((e) => e.messageId)).size,
				made.every((e) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(e.messageId)),
				envelope("message", {}, { messageId: "again", traceparent: "00-" }), JSON.stringify(envelope("ping")).includes("traceparent"),
			].map((e) => e.timestamp ? { ...e, timestamp: "" } : e);`,
			`[100,true,{"type":"message","timestamp":"","messageId":"again","traceparent":"00-","payload":{}},false]`},
	} {
		var got json.RawMessage
		tab.run(chromedp.Evaluate(fmt.Sprintf("(async () => {%s})()", test.script), &got,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
