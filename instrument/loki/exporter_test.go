package loki

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	lokipush "github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/log/logtest"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests, those of loki-client-go included.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long anything may take before a test calls it hung. Nothing is expected to take nearly as long.
const limit = time.Minute

// shortly is a deadline for what can't be delivered anyway.
const shortly = 200 * time.Millisecond

func newExporter(t *testing.T, s *server) *Exporter {
	t.Helper()
	e, err := New(s.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func records(bodies ...string) (records []sdklog.Record) {
	for _, body := range bodies {
		records = append(records, logtest.RecordFactory{
			Timestamp: time.Unix(1, 0), Body: attribute.StringValue(body), Resource: resource.Empty(),
		}.NewRecord())
	}
	return records
}

func isRefused(err error) bool {
	var refusal interface{ Refused() bool }
	return errors.As(err, &refusal) && refusal.Refused()
}

func TestNew(t *testing.T) {
	for address, ok := range map[string]bool{
		"http://127.0.0.1:3100/loki/api/v1/push":      true,
		"https://me:hunter2@loki.example/api/v1/push": true,
		"":               false,
		"127.0.0.1:3100": false,
		"ftp://me:hunter2@loki.example/loki/api/v1/push": false,
		"http://me:hunter2@":                             false,
	} {
		_, err := New(address)
		if (err == nil) != ok {
			t.Errorf("New(%q): %v", address, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "http://127.0.0.1:3100/loki/api/v1/push")) {
			t.Errorf("New(%q): %v: want an example, and no password", address, err)
		}
	}
}

func TestExportTellsWhatIsWorthRepeating(t *testing.T) {
	for status, want := range map[int]struct{ failed, refused bool }{
		http.StatusOK:                    {},
		http.StatusNoContent:             {},
		http.StatusMovedPermanently:      {failed: true, refused: true},
		http.StatusBadRequest:            {failed: true, refused: true},
		http.StatusUnauthorized:          {failed: true, refused: true},
		http.StatusRequestEntityTooLarge: {failed: true, refused: true},
		http.StatusTooManyRequests:       {failed: true},
		http.StatusInternalServerError:   {failed: true},
		http.StatusServiceUnavailable:    {failed: true},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := newServer(t)
			s.serve(answer(status))
			err := newExporter(t, s).Export(t.Context(), records("hello"))
			if failed := err != nil; failed != want.failed || isRefused(err) != want.refused {
				t.Errorf("Export: %v: failed %t, refused %t, want %+v", err, failed, isRefused(err), want)
			}
			if err != nil && (!strings.Contains(err.Error(), http.StatusText(status)) || !strings.Contains(err.Error(), s.address)) {
				t.Errorf("Export: %v: want it to say what was answered, and by whom", err)
			}
		})
	}
}

func TestExportEndsWithItsContext(t *testing.T) {
	for name, begin := range map[string]func(*server){
		"dead":    func(*server) {},
		"hanging": func(s *server) { s.serve(s.hang) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			begin(s)
			e := newExporter(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), shortly)
			defer cancel()
			began := time.Now()
			err := e.Export(ctx, records("hello", "world"))
			if err == nil || isRefused(err) || name == "hanging" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Export: %v: want an error that is worth repeating", err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("Export took %s", took)
			}
			s.serve(s.accept)
			if err := e.Export(t.Context(), records("hello", "world")); err != nil {
				t.Errorf("Export after the outage: %v", err)
			}
			if diff := cmp.Diff([]string{"hello", "world"}, messages(t, s)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExportSplitsWhatIsLarge(t *testing.T) {
	s := newServer(t)
	s.serve(s.accept)
	long := strings.Repeat("x", maxPushBytes/4)
	if err := newExporter(t, s).Export(t.Context(), records(long, long, long, long, long, long)); err != nil {
		t.Fatal(err)
	}
	if got := len(s.lines()); got != 6 {
		t.Errorf("%d records, want 6", got)
	}
	if len(s.pushes) != 2 {
		t.Errorf("%d pushes, want 2", len(s.pushes))
	}
}

func TestExportTellsOfPartialFailure(t *testing.T) {
	s := newServer(t)
	pushes := 0
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		if pushes++; pushes == 1 {
			s.accept(w, r)
			return
		}
		answer(http.StatusServiceUnavailable)(w, r)
	})
	long := strings.Repeat("x", maxPushBytes/2)
	err := newExporter(t, s).Export(t.Context(), records(long, long, long))
	if err == nil || isRefused(err) {
		t.Errorf("Export: %v: want an error that is worth repeating", err)
	}
}

func TestExportOfNothing(t *testing.T) {
	s := newServer(t)
	e := newExporter(t, s)
	if err := errors.Join(e.Export(t.Context(), nil), e.ForceFlush(t.Context())); err != nil {
		t.Error(err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Export(t.Context(), records("late")); !errors.Is(err, sdklog.ErrExporterShutdown) {
		t.Errorf("Export after Shutdown: %v", err)
	}
}

func TestExportAuthenticates(t *testing.T) {
	s := newServer(t)
	s.serve(s.accept)
	e, err := New(strings.Replace(s.url(), "http://", "http://tenant:hunter2@", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Export(t.Context(), records("hello")); err != nil {
		t.Fatal(err)
	}
	if user, password, _ := (&http.Request{Header: s.headers}).BasicAuth(); user != "tenant" || password != "hunter2" {
		t.Errorf("authenticated as %s, %s", user, password)
	}
	if agent := s.headers.Get("User-Agent"); agent != "sockscope-loki" {
		t.Errorf("User-Agent %q", agent)
	}
	s.stop()
	if err := e.Export(t.Context(), records("hello")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Export: %v: want an error that does not tell the password", err)
	}
	_ = e.Shutdown(t.Context())
}

// TestEntry has records that instrument/telemetry would not make.
func TestEntry(t *testing.T) {
	entries := func(severity log.Severity, attrs ...attribute.KeyValue) lokipush.Stream {
		t.Helper()
		s := newServer(t)
		s.serve(s.accept)
		r := logtest.RecordFactory{
			ObservedTimestamp: time.Unix(1, 0), Severity: severity, Body: attribute.Int64Value(7), Resource: resource.Empty(), Attributes: attrs,
		}.NewRecord()
		if err := newExporter(t, s).Export(t.Context(), []sdklog.Record{r}); err != nil {
			t.Fatal(err)
		}
		return s.streams()[0]
	}
	tests := []struct {
		name     string
		severity log.Severity
		attrs    []attribute.KeyValue
		labels   string
		metadata lokipush.LabelsAdapter
		line     string // behind the time
	}{
		{name: "no severity", labels: `{level="info"}`, line: `"level":"info","msg":"7","service":""`},
		{name: "trace", severity: log.SeverityTrace2, labels: `{level="debug"}`, line: `"level":"debug","msg":"7","service":""`},
		{name: "fatal", severity: log.SeverityFatal, labels: `{level="error"}`, line: `"level":"error","msg":"7","service":""`},
		{
			name: "names", labels: `{level="info"}`,
			attrs: []attribute.KeyValue{
				attribute.String("a.b", "1"), attribute.String("a_b", "2"), attribute.String("9", "4"),
				attribute.String("level", "5"), attribute.String("service.name", "6"), attribute.String("é", "7"),
			},
			metadata: lokipush.LabelsAdapter{
				{Name: "a_b", Value: "1"}, {Name: "_9", Value: "4"}, {Name: "level_", Value: "5"}, {Name: "service_name_", Value: "6"}, {Name: "_", Value: "7"},
			},
			line: `"level":"info","msg":"7","service":"","a.b":"1","a_b":"2","9":"4","level":"5","service.name":"6","é":"7"`,
		},
		{
			name: "values", labels: `{level="info"}`,
			attrs: []attribute.KeyValue{attribute.Bool("b", true), attribute.Float64("f", .5), attribute.StringSlice("s", []string{"x", "y"})},
			metadata: lokipush.LabelsAdapter{
				{Name: "b", Value: "true"}, {Name: "f", Value: "0.5"}, {Name: "s", Value: `["x","y"]`},
			},
			line: `"level":"info","msg":"7","service":"","b":true,"f":0.5,"s":"[\"x\",\"y\"]"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := entries(tt.severity, tt.attrs...)
			if got.Labels != tt.labels {
				t.Errorf("labels %s, want %s", got.Labels, tt.labels)
			}
			if diff := cmp.Diff(tt.metadata, got.Entries[0].StructuredMetadata, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if _, line, _ := strings.Cut(got.Entries[0].Line, ","); line != tt.line+"}" {
				t.Errorf("line %s, want %s}", line, tt.line)
			}
			if !got.Entries[0].Timestamp.Equal(time.Unix(1, 0)) {
				t.Errorf("time %s", got.Entries[0].Timestamp)
			}
		})
	}
}
