package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// fakeJaeger has one trace of a message that waited for the store, and ticks.
func fakeJaeger(t *testing.T) string {
	t.Helper()
	answer := func(w http.ResponseWriter, data any) { _ = json.NewEncoder(w).Encode(map[string]any{"data": data}) }
	span := func(id, name string, took time.Duration) map[string]any {
		return map[string]any{"spanID": id, "operationName": name, "startTime": time.Now().UnixMicro(), "duration": took.Microseconds(), "processID": "p"}
	}
	trace := func(id string, spans ...any) map[string]any {
		return map[string]any{"traceID": strings.Repeat(id, 32), "spans": spans, "processes": map[string]any{"p": map[string]string{"serviceName": "demo"}}}
	}
	message := trace("a", span("aaaaaaaaaaaaaaaa", "websocket.message chat", 2*time.Second), span("bbbbbbbbbbbbbbbb", "store", time.Second))
	tick := trace("c", span("cccccccccccccccc", "websocket.broadcast", time.Millisecond))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", func(w http.ResponseWriter, _ *http.Request) { answer(w, []string{"demo"}) })
	mux.HandleFunc("GET /api/operations", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, []any{map[string]string{"name": "store"}, map[string]string{"name": "websocket.broadcast"}, map[string]string{"name": "websocket.message chat"}})
	})
	mux.HandleFunc("GET /api/traces", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.FormValue("tags") != "":
			answer(w, []any{})
		case r.FormValue("operation") == "":
			answer(w, []any{message, tick})
		default:
			answer(w, []any{message})
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// TestSearchTraces fills in the form for traces, and opens the address that it leads to.
func TestSearchTraces(t *testing.T) {
	ctx := browser(t)
	address, _ := serve(t, Config{JaegerURL: fakeJaeger(t)})
	var names []string
	var at, match string
	const found = `[...document.querySelectorAll(".found a > .what")].map(e => e.textContent)`
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	run(chromedp.Navigate(address+"/trace"), chromedp.Evaluate(found, &names))
	if !slices.Equal(names, []string{"websocket.message chat"}) {
		t.Errorf("there are %q, want no ticks", names)
	}
	run(chromedp.Click("#about a", chromedp.ByQuery), chromedp.WaitVisible(`a[href="/trace/`+strings.Repeat("c", 32)+`"]`), chromedp.Evaluate(found, &names))
	if len(names) != 2 {
		t.Errorf("with ticks, there are %q", names)
	}
	run(
		chromedp.SetValue("#operation", "store"), chromedp.SendKeys("#min", "500ms"), chromedp.SetValue("#range", "6h"),
		chromedp.Submit("#min"), chromedp.WaitVisible(".found .match"), chromedp.Location(&at), chromedp.Text(".found .match", &match),
	)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	form := newTracesForm(u.Query())
	if form.Operation != "store" || form.Shortest != "500ms" || form.Range != "6h" || !form.Ticks {
		t.Errorf("the form leads to %s", at)
	}
	if !strings.HasPrefix(match, "store demo · 1 s") {
		t.Errorf("the span that matches is shown as %q", match)
	}
	run(chromedp.Navigate(at), chromedp.Value("#operation", &match))
	if match != "store" {
		t.Errorf("the shared address has the operation %q", match)
	}
}

// TestFollow follows records as they arrive, and holds still while one is open.
func TestFollow(t *testing.T) {
	var asked atomic.Int64
	var queries atomic.Value
	store := http.NewServeMux()
	store.HandleFunc("GET /select/logsql/hits", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"hits":[]}`) })
	store.HandleFunc("GET /select/logsql/query", func(w http.ResponseWriter, r *http.Request) {
		queries.Store(r.FormValue("query"))
		for i := range asked.Add(1) {
			fmt.Fprintf(w, `{"_time":"2026-11-22T11:00:%02dZ","_msg":"record %d","reason":"slow_consumer","service.name":"demo"}`+"\n", i, i)
		}
	})
	server := httptest.NewServer(store)
	defer server.Close()
	ctx := browser(t)
	address, _ := serve(t, Config{VictoriaLogsURL: server.URL})
	run := func(actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	renew := chromedp.Evaluate(`import("/static/desk.js").then((desk) => desk.renew())`, nil, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })
	run(chromedp.Navigate(address+"/logs?follow=on"), chromedp.WaitVisible("#following"), renew, chromedp.WaitVisible("ol.records li + li"))

	var shown, same string
	run(chromedp.Click("ol.records summary", chromedp.ByQuery), chromedp.WaitVisible("ol.records details[open] .same"))
	before := asked.Load()
	run(renew, renew)
	if n := asked.Load(); n != before {
		t.Errorf("asked %d times while a record is open", n-before)
	}
	run(chromedp.Click("ol.records details[open] summary", chromedp.ByQuery), chromedp.WaitNotPresent("ol.records details[open]"), renew,
		chromedp.ActionFunc(func(ctx context.Context) error {
			return chromedp.WaitVisible(fmt.Sprintf("ol.records li:nth-child(%d)", before+1)).Do(ctx)
		}))

	run(chromedp.Click("#following a", chromedp.ByQuery), chromedp.WaitNotPresent("#following"),
		chromedp.Click("ol.records summary", chromedp.ByQuery), chromedp.Click("ol.records details[open] .same", chromedp.ByQuery),
		chromedp.WaitVisible(`input[name=field][value="reason=slow_consumer"]`), chromedp.Text("ol.records summary", &shown, chromedp.ByQuery), chromedp.Location(&same))
	if !strings.Contains(shown, "demo · slow_consumer") {
		t.Errorf("a record is shown as %q", shown)
	}
	if query, _ := queries.Load().(string); !strings.HasPrefix(query, `* "reason":="slow_consumer" |`) {
		t.Errorf("%s asks for %s", same, query)
	}
}
