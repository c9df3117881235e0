package examples_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/client"
	"github.com/sockscope/sockscope/instrument/grpcstream"
	"github.com/sockscope/sockscope/instrument/sse"
)

var (
	fence     = regexp.MustCompile("(?ms)^```.*?^```$")
	quoted    = regexp.MustCompile("`([^`]+)`")
	ourMetric = regexp.MustCompile(`^(websocket|sse|grpc|grpc_stream|sockscope)_\w*(\{.*\})?$`)
	ourSpan   = regexp.MustCompile(`^websocket\.[a-z.]+`)
	labelPair = regexp.MustCompile(`\w+="[^"]*"`)
)

// guideText returns the guide and the pages that belong to it, without their code blocks.
func guideText(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, page := range []string{"instrument-your-service.md", "spans.md", "options.md"} {
		content, err := os.ReadFile(repository(t) + "/docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(fence.ReplaceAll(content, nil))
	}
	return text.String()
}

// section returns what is below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(guideText(t), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the guide has no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// firstColumn returns the cells of a section's table below the head.
func firstColumn(t *testing.T, heading string) []string {
	t.Helper()
	var cells []string
	for line := range strings.Lines(section(t, heading)) {
		if strings.HasPrefix(line, "|") {
			cells = append(cells, strings.TrimSpace(strings.Split(line, "|")[1]))
		}
	}
	if len(cells) < 3 {
		t.Fatalf("section %q has no table", heading)
	}
	return cells[2:]
}

func quotedIn(text string) []string {
	var all []string
	for _, match := range quoted.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// Every metric and span of ours that the guide names is exposed under that name, with those label values.
func TestGuideNamesWhatThereIs(t *testing.T) {
	known := exposed(t)
	names := 0
	for _, name := range quotedIn(guideText(t)) {
		switch {
		case ourMetric.MatchString(name):
			checkMetric(t, known, name)
		case ourSpan.MatchString(name):
			if !known[strings.Replace(name, "{type}", "other", 1)] {
				t.Errorf("there is no span or attribute %s", name)
			}
		default:
			continue
		}
		names++
	}
	if names == 0 {
		t.Error("the guide names nothing")
	}
	for _, cell := range firstColumn(t, "Names elsewhere") {
		names := quotedIn(cell)
		switch {
		case strings.HasPrefix(cell, "label `"):
			for _, value := range names[1:] {
				if !known[fmt.Sprintf("{%s=%q}", names[0], value)] {
					t.Errorf("label %s has no value %s", names[0], value)
				}
			}
		case strings.HasPrefix(cell, "span attribute `"):
			if !known[strings.Join(names, "=")] {
				t.Errorf("no span has %s", strings.Join(names, "="))
			}
		default:
			for _, name := range names {
				checkMetric(t, known, name)
			}
		}
	}
}

// checkMetric takes a name, with label values or without, or the prefix of many.
func checkMetric(t *testing.T, known map[string]bool, name string) {
	t.Helper()
	name, labels, _ := strings.Cut(name, "{")
	if !known[name] {
		t.Errorf("there is no metric %s", name)
	}
	for _, pair := range labelPair.FindAllString(labels, -1) {
		if !known[name+"{"+pair+"}"] && !strings.HasPrefix(pair, "namespace=") { // which every service chooses
			t.Errorf("%s has no %s", name, pair)
		}
	}
}

// exposed returns what observers of every transport and a client expose: metrics with each of their label values, those
// by themselves, prefixes, spans, and attributes with and without values.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	registry := prometheus.NewRegistry()
	for _, transport := range []string{"websocket", sse.Protocol, grpcstream.Protocol, grpcstream.ConnectionProtocol} {
		observer, spans := observe(t, transport)
		registry.MustRegister(observer)
		known[transport+"_"] = true
		for _, span := range spans {
			known[span.Name()] = true
			for _, a := range span.Attributes() {
				known[string(a.Key)] = true
				known[string(a.Key)+"="+a.Value.String()] = true
			}
		}
	}
	c, err := client.New("ws://feed.example", client.Feed{
		Streams: []client.Stream{{Name: "price", Expect: time.Second}},
		Decode:  func([]client.Event, client.MessageType, []byte) ([]client.Event, error) { return nil, nil },
		Handle:  func(context.Context, client.Event) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		known[family.GetName()] = true
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				value := fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
				known[value], known[family.GetName()+value] = true, true
			}
		}
	}
	return known
}

// observe has an observer make each of its spans once.
func observe(t *testing.T, transport string) (*instrument.Observer, []trace.ReadOnlySpan) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	observer, err := instrument.New(instrument.WithProtocol(transport), instrument.WithSampleRatio(1),
		instrument.WithConnectionLimit(1000), instrument.WithBackplanes("redis"),
		instrument.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(recorder))))
	if err != nil {
		t.Fatal(err)
	}
	_, handshake := observer.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example.com"})
	conn := handshake.Opened(0)
	ctx, message := conn.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
	ctx, broadcast := observer.BeginBroadcast(ctx)
	delivered := broadcast.BeginDelivery(conn)
	broadcast.End(nil)
	delivered.Sent(instrument.MessageType{}, 1)
	published := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, published)
	_, delivery := observer.Backplane("redis").BeginDelivery(t.Context(), published, time.Now())
	delivery.End(nil)
	message.End(errors.New("failed"))
	conn.BeginDelivery().Sent(instrument.MessageType{}, 1)
	conn.BeginPing().End(instrument.PingPong)
	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal})
	return observer, recorder.Ended()
}

// The table of options has every one, in the order of their package.
func TestGuideTellsEveryOption(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), repository(t)+"/instrument/options.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "With") {
			want = append(want, f.Name.Name)
		}
	}
	var got []string
	for _, cell := range firstColumn(t, "What each option costs") {
		got = append(got, quotedIn(cell)...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-instrument +guide):\n%s", diff)
	}
}

// TestGuideFiguresAreMeasured compares the guide's costs with the figures in docs/performance.md.
func TestGuideFiguresAreMeasured(t *testing.T) {
	performance, err := os.ReadFile(repository(t) + "/docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	figures := regexp.MustCompile(`[0-9.]+( to [0-9.]+)? (ns|µs|KiB)`).FindAllString(section(t, "What each option costs"), -1)
	if len(figures) == 0 {
		t.Error("the guide has no figures")
	}
	for _, figure := range figures {
		if !strings.Contains(string(performance), figure) {
			t.Errorf("docs/performance.md does not have %s", figure)
		}
	}
}
