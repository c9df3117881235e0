package check

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	s := newStack(t, func(s *stack) { s.unsampled = 3 })
	var out bytes.Buffer
	results := map[string]Result{}
	printed := Printer(&out, false)
	err := Run(t.Context(), s.config, func(r Result) {
		results[r.Name] = r
		printed(r)
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for name, want := range map[string]string{
		"answer":    "the demo acknowledged message ",
		"sample":    " of 4 has trace " + s.messages[3].span.TraceID().String(),
		"metrics":   "websocket_active_connections 1",
		"quantiles": "within 2.999ms by the native histogram, 4.75ms by the classic one",
		"exemplar":  "an exemplar of our own message leads to trace " + s.messages[3].span.TraceID().String(),
		"trace":     "websocket.message message, linked to its handshake and to our traceparent",
		"logs":      "log records with the trace id in Loki: 1;",
		"alerts":    "Watchdog reached the inbox by webhook ",
	} {
		if r := results[name]; !r.OK || !strings.Contains(r.Detail, want) {
			t.Errorf("step %s: %+v, want %q in its detail", name, r, want)
		}
	}
	if lines := strings.Count(out.String(), "\n"); len(results) != 8 || lines != 8 {
		t.Errorf("%d steps were printed on %d lines:\n%s", len(results), lines, out.String())
	}
}

// TestRunFails shows that a stack with one part missing is told apart: its step fails, what depends on it is not tried,
// the rest holds.
func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   func(*stack)
		failed  []string
		skipped []string
		want    string // in a failed step's detail
	}{
		{"the demo refuses connections", broken("demo", http.NotFound),
			[]string{"answer"}, []string{"exemplar", "logs", "metrics", "quantiles", "sample", "trace"}, "404 Not Found"},
		{"the demo hangs", broken("demo", hangs),
			[]string{"answer"}, []string{"exemplar", "logs", "metrics", "quantiles", "sample", "trace"}, "nothing came back within"},
		{"the demo acknowledges nothing", func(s *stack) { s.mute = true },
			[]string{"answer"}, []string{"exemplar", "logs", "metrics", "quantiles", "sample", "trace"}, "nothing came back within"},
		{"the demo refuses messages", func(s *stack) { s.refuse = true },
			[]string{"answer"}, []string{"exemplar", "logs", "metrics", "quantiles", "sample", "trace"}, "the message was refused: "},
		{"the demo samples nothing", func(s *stack) { s.unsampled = 1 << 30 },
			[]string{"sample"}, []string{"exemplar", "logs", "trace"}, "acknowledged messages has a trace"},
		{"Prometheus fails", broken("prometheus", failsInside),
			[]string{"exemplar", "metrics", "quantiles"}, nil, "Prometheus answers with status 500"},
		{"Jaeger hangs", broken("jaeger", hangs),
			[]string{"exemplar", "logs", "trace"}, nil, "Jaeger does not answer: nothing came back within"},
		{"Loki is another", broken("loki", saysNonsense), []string{"logs"}, nil, "read the answer of Loki: invalid character"},
		{"the desk is another", broken("desk", saysNonsense), []string{"alerts"}, nil, "something else than the JSON of its API"},
		{"Loki fails", broken("loki", failsInside), []string{"logs"}, nil, "Loki answers 500 Internal Server Error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, c.fault)
			s.config.Timeout = 2500 * time.Millisecond
			var failed, skipped []string
			var out bytes.Buffer
			printed := Printer(&out, true)
			begin := time.Now()
			err := Run(t.Context(), s.config, func(r Result) {
				printed(r)
				switch {
				case r.Skipped:
					skipped = append(skipped, r.Name)
				case !r.OK:
					failed = append(failed, r.Name)
					if !strings.Contains(r.Detail, c.want) || r.Next == "" {
						t.Errorf("failed step %+v, want %q in its detail and where to look next", r, c.want)
					}
				}
			})
			slices.Sort(failed)
			slices.Sort(skipped)
			if !errors.Is(err, ErrBroken) || !slices.Equal(failed, c.failed) || !slices.Equal(skipped, c.skipped) {
				t.Errorf("failed %v, skipped %v, error %v; want %v and %v", failed, skipped, err, c.failed, c.skipped)
			}
			if took := time.Since(begin); took > s.config.Timeout+2*attemptTimeout {
				t.Errorf("the check took %v", took)
			}
			if strings.Contains(out.String(), "\x1b[31mnot") {
				t.Error("a peer's control characters reach the terminal")
			}
		})
	}
}

func TestRunIsInterrupted(t *testing.T) {
	s := newStack(t, broken("loki", hangs))
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, s.config, func(r Result) {
		if r.Name == "trace" {
			cancel()
		}
		if !r.OK {
			t.Errorf("an interrupted step is reported: %+v", r)
		}
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrBroken) {
		t.Errorf("error is %v, want that of the context", err)
	}
}

func TestRunRefusesConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no scheme", func(c *Config) { c.Loki = "127.0.0.1:3100" }, "--loki: "},
		{"no log store", func(c *Config) { c.Loki, c.VictoriaLogs = "", "" }, "--victorialogs: "},
		{"no host", func(c *Config) { c.Desk = "http://" }, "--desk: "},
		{"another scheme", func(c *Config) { c.Demo = "ws://127.0.0.1:8080" }, "--demo: "},
		{"no time", func(c *Config) { c.Timeout = 0 }, "--timeout: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Local(0)
			c.change(&cfg)
			err := Run(t.Context(), cfg, func(r Result) { t.Errorf("reported %+v", r) })
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error is %v, want it to name the flag, %s", err, c.want)
			}
		})
	}
}

func TestPrinter(t *testing.T) {
	var out bytes.Buffer
	report := Printer(&out, false)
	report(Result{Name: "answer", OK: true, Seconds: 0.0123, Detail: "the demo answered"})
	report(Result{Name: "trace", Seconds: 60, Detail: "Jaeger has no trace\nat all", URL: "http://127.0.0.1/x", Answer: `{"error":1}`, Next: "Jaeger's log"})
	report(Result{Name: "logs", Skipped: true, Detail: "not tried: no trace"})
	want := `✓ answer      0.01s  the demo answered
✗ trace      60.00s  Jaeger has no trace at all
                     asked   http://127.0.0.1/x
                     answer  {"error":1}
                     next    Jaeger's log
– logs        0.00s  not tried: no trace
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
