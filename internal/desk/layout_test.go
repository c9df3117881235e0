package desk

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/chromedp"
)

// TestTablesFit looks at tables that are wider than their panel, as wide as a laptop and as a phone: they scroll inside
// of it, so that every column can be reached, and no word is broken.
func TestTablesFit(t *testing.T) {
	labels := []string{
		`"severity":"critical"`, `"alertname":"WebSocketConnectionErrorBudgetBurn"`, `"job":"sockscope"`, `"namespace":"notifications"`,
		`"instance":"demo.internal.example:8080"`, `"region":"centraleurope"`, `"zone":"` + strings.Repeat("w", 150) + `"`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		row := `{"metric":{` + strings.Join(labels, ",") + fmt.Sprintf(`},"value":[%d,"1234567"]}`, time.Now().Unix())
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(slices.Repeat([]string{row}, 30), ","))
	}))
	t.Cleanup(server.Close)
	board := fstest.MapFS{"wide.json": {Data: []byte(`{"uid":"wide","title":"Wide","refresh":"off","time":{"from":"now-30m","to":"now"},"panels":[
		{"id":1,"type":"table","title":"Half","gridPos":{"w":12,"h":8},"datasource":{"type":"prometheus"},"targets":[{"refId":"A","expr":"x","instant":true,"format":"table"}]},
		{"id":2,"type":"table","title":"A third","gridPos":{"x":12,"w":8,"h":8},"datasource":{"type":"prometheus"},"targets":[{"refId":"A","expr":"x","instant":true,"format":"table"}]}]}`)}}
	ctx := browser(t)
	address, _ := serve(t, Config{PrometheusURL: server.URL, Dashboards: []fs.FS{board}})
	const look = `[1, 2].flatMap((id) => {
		const wrong = [];
		const panel = document.querySelector("#panel-" + id);
		const box = panel.querySelector(".scroll");
		const inside = (one, other) => {
			const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
			return a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
		};
		if (!inside(box, panel)) wrong.push("the table is larger than its panel");
		for (const cell of box.querySelectorAll("tr:nth-child(-n+3) > *")) {
			const range = document.createRange();
			range.selectNodeContents(cell);
			const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size;
			if (cell.offsetWidth > box.clientWidth) continue; // a part of it is always seen
			if (lines !== 1 && cell.textContent.length < 40) wrong.push(cell.textContent + " is broken into " + lines);
			cell.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
			const { left, right } = cell.getBoundingClientRect();
			const { left: first, right: last } = box.getBoundingClientRect();
			if (left < first - 1 || right > last + 1) wrong.push(cell.textContent + " can't be reached");
		}
		return wrong.map((w) => id + ": " + w);
	})`
	for _, width := range []int64{1200, 400} {
		var wrong []string
		var beyond int
		err := chromedp.Run(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(address+"/dashboard/wide"),
			chromedp.Poll(`document.querySelectorAll("#panel-1 td, #panel-2 td").length > 400`, nil, chromedp.WithPollingTimeout(20*time.Second)),
			chromedp.Evaluate(look, &wrong), chromedp.Evaluate(`document.documentElement.scrollWidth - innerWidth`, &beyond))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			t.Errorf("%d pixels wide, panel %s", width, w)
		}
		if beyond > 0 {
			t.Errorf("%d pixels wide, the page is %d too wide", width, beyond)
		}
	}
}

// TestPagesFit looks at the start page and the connections on a phone, with findings whose words don't fit.
func TestPagesFit(t *testing.T) {
	long := strings.Repeat("W", 500)
	ctx := browser(t)
	address, _ := serve(t, Config{Consoles: []string{consoleThatFinds(t, long, fmt.Sprintf(`{"name":"x","severity":"warning","text":%q,"sort":"behind"}`, long))}})
	for _, page := range []string{"/", "/connections", "/dashboards", "/query?query=" + long} {
		var beyond int
		err := chromedp.Run(ctx, chromedp.EmulateViewport(400, 900), chromedp.Navigate(address+page), chromedp.WaitReady("main"),
			chromedp.Evaluate(`document.documentElement.scrollWidth - innerWidth`, &beyond))
		if err != nil {
			t.Fatal(err)
		}
		if beyond > 0 {
			t.Errorf("%.20s is %d pixels too wide for a phone", page, beyond)
		}
	}
}
