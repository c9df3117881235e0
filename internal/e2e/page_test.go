//go:build e2e && unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/endpoint"
)

// pageService is what the demo's page is called in traces.
const pageService = "sockscope-page"

// pageExports are the variables that let the demo's page export its spans, from one origin.
func pageExports(offset int) []string {
	at := endpoint.Local(offset)
	return []string{
		fmt.Sprintf(`OTELCOL_CORS_ORIGINS=["http://%s"]`, at.Demo),
		"SOCKSCOPE_PAGE_SPANS_URL=http://" + at.CollectorOTLPHTTP + "/v1/traces",
	}
}

// testPage says something on the demo's page. The message's trace begins in the browser, and the service's is linked to
// it. The same page under another name of this machine is another origin: the Collector takes nothing from it.
func (s *stack) testPage(t *testing.T) {
	browser := newBrowser(t)
	_, port, err := net.SplitHostPort(s.at.Demo)
	if err != nil {
		t.Fatal(err)
	}
	refused := s.sayOnPage(browser, t, "http://localhost:"+port)
	select {
	case <-refused:
	case <-time.After(time.Minute):
		t.Fatal("the Collector does not refuse the origin that is not allowed")
	}
	s.sayOnPage(browser, t, "http://"+s.at.Demo)

	finder := tracing.NewFinder("http://"+s.at.JaegerQuery, nil, http.DefaultTransport)
	began := time.Now().Add(-10 * time.Minute)
	ofPage := func(operation string) ([]tracing.Trace, error) {
		return finder.OfService(t.Context(), pageService, operation, began, time.Now().Add(time.Minute), 20)
	}
	eventually(t, "the trace of the message", time.Minute, func() error {
		traces, err := ofPage("websocket.message message")
		if err != nil || len(traces) == 0 {
			return errors.Join(err, errors.New("Jaeger has none"))
		}
		sent := traces[0].Spans[0]
		if sent.Parent != "" || sent.Service != pageService || sent.Kind != "producer" {
			t.Fatalf("the trace begins with %+v", sent)
		}
		theirs, err := finder.OfService(t.Context(), "sockscope-demo", "websocket.message message", began, time.Now().Add(time.Minute), 1000)
		if err != nil {
			return err
		}
		return joined(sent, theirs)
	})
	handshakes, err := ofPage("websocket.handshake")
	if err != nil || len(handshakes) == 0 {
		t.Errorf("%d handshakes of the page, %v", len(handshakes), err)
	}
	for _, trace := range handshakes {
		if host := trace.Spans[0].Attribute("server.address"); host != "127.0.0.1" {
			t.Errorf("the Collector has taken a span of the page at %s", host)
		}
	}
}

// joined returns an error unless one of the service's spans is of the same message as the page's, by its link and by
// its number.
func joined(sent tracing.Span, theirs []tracing.Trace) error {
	const number = "websocket.message.number"
	for _, trace := range theirs {
		for _, span := range trace.Spans {
			links := slices.ContainsFunc(span.Links, func(l tracing.Link) bool { return l.SpanID == sent.ID })
			if links && span.Attribute(number) == sent.Attribute(number) {
				return nil
			}
		}
	}
	return fmt.Errorf("no span of the service is of message %s in trace %s", sent.Attribute(number), sent.TraceID)
}

// newBrowser starts Chromium.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the page is tested in Chromium, which is not installed: make test installs it on Debian")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(browser); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return browser
}

// sayOnPage enters the page at an address and says something, until the server has acknowledged it. The tab stays open.
// The channel is closed when the browser keeps the page from sending something to another origin.
func (s *stack) sayOnPage(browser context.Context, t *testing.T, address string) (refused <-chan struct{}) {
	t.Helper()
	tab, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	kept := make(chan struct{}, 1)
	chromedp.ListenTarget(tab, func(event any) {
		if failed, ok := event.(*network.EventLoadingFailed); ok && failed.CorsErrorStatus != nil {
			select {
			case kept <- struct{}{}:
			default:
			}
		}
	})
	if err := chromedp.Run(tab, network.Enable()); err != nil { // without a deadline: the tab would end with it
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	err := chromedp.Run(ctx,
		chromedp.Navigate(address),
		chromedp.Poll(`!document.querySelector("#enter").disabled`, nil),
		chromedp.Evaluate(`document.querySelector("#name").value = "Ada"; document.querySelector("#entry").requestSubmit()`, nil),
		chromedp.Poll(`document.querySelector("#state").textContent === "connected"`, nil),
		chromedp.Evaluate(`document.querySelector("#text").value = "hello"; document.querySelector("#say").requestSubmit()`, nil),
		chromedp.Poll(`document.querySelector("#log .own.sent") !== null`, nil),
	)
	if err != nil {
		t.Fatalf("say something on the page at %s: %v", address, err)
	}
	return kept
}
