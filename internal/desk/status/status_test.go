package status

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/internal/progress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoad(t *testing.T) {
	const good = `{"name":"a","title":"A","ready":"http://a:1/ready"}`
	tests := []struct{ name, text, wrong string }{
		{"good", "[" + good + "]", ""},
		{"none", "[]", ""},
		{"not JSON", "[", "not a JSON array"},
		{"object", good, "not a JSON array"},
		{"unknown member", `[{"nam":"a"}]`, `unknown field "nam"`},
		{"two arrays", "[][]", "something follows"},
		{"no name", `[{"title":"A","ready":"http://a"}]`, "component 1 has no name"},
		{"no title", `[{"name":"a","ready":"http://a"}]`, `component "a" has no title`},
		{"twice", "[" + good + "," + good + "]", `two components are named "a"`},
		{"no check", `[{"name":"a","title":"A"}]`, "ready is"},
		{"check is no URL", `[{"name":"a","title":"A","ready":"a:1"}]`, "ready is"},
		{"address runs code", `[{"name":"a","title":"A","ready":"http://a","address":"javascript:alert(1)"}]`, "address is"},
		{"too many", "[" + strings.Repeat(good+",", maxComponents) + good + "]", "at most 64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "components.json")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(file)
			switch {
			case test.wrong == "" && err != nil:
				t.Error(err)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong) || !strings.Contains(err.Error(), file)):
				t.Errorf("error = %v, want one with the file and %q", err, test.wrong)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "components.json")
	if err := os.WriteFile(file, []byte("["+good+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, file); err == nil || !strings.Contains(err.Error(), `two components are named "a"`) {
		t.Errorf("error of the same component in two files = %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file is no error")
	}
}

// TestShippedList reads the lists that compose uses, with either log store.
func TestShippedList(t *testing.T) {
	for _, logs := range []string{"loki", "victoria-logs"} {
		t.Run(logs, func(t *testing.T) { testShippedList(t, logs) })
	}
}

func testShippedList(t *testing.T, logs string) {
	list, err := Load("../../../deploy/desk/components.json", "../../../deploy/desk/"+logs+".json")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
		if !strings.HasPrefix(c.Ready, "http://"+c.Name+":") {
			t.Errorf("%s is asked at %s, want its own host name", c.Name, c.Ready)
		}
		if !strings.HasPrefix(c.Address, "http://127.0.0.1:") {
			t.Errorf("%s is opened at %s, want the loopback interface", c.Name, c.Address)
		}
	}
	want := []string{"demo", "probe", "nginx", "otel-collector", "prometheus", "alertmanager", "jaeger", "grafana", logs}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// serve starts a server on loopback that the test can change.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestPoll(t *testing.T) {
	ready := serve(t, func(http.ResponseWriter, *http.Request) {})
	refuses := refusing(t)
	tests := []struct {
		name      string
		component Component
		state     State
		detail    string
	}{
		{"ready", Component{Ready: ready}, Ready, ""},
		{"refuses", Component{Ready: refuses}, NotReady, "connection refused"},
		{"optional and refuses", Component{Ready: refuses, Optional: true}, Absent, "connection refused"},
		{"optional and ready", Component{Ready: ready, Optional: true}, Ready, ""},
		{"starting", Component{Ready: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Ingester not ready: waiting\nfor long", http.StatusServiceUnavailable)
		})}, NotReady, "503 Service Unavailable: Ingester not ready: waiting"},
		{"another page", Component{Ready: serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
		})}, NotReady, "302"},
		{"no content", Component{Ready: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		})}, NotReady, "204"},
		{"endless", Component{Ready: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})}, Ready, ""},
		{"long complaint", Component{Ready: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("ä", 5000), http.StatusInternalServerError)
		})}, NotReady, "500"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			w := NewWatcher([]Component{test.component}, "", transport)
			w.began = w.began.Add(-patience)
			if got := w.Reports()[0]; got.State != Unknown || !got.Since.IsZero() {
				t.Errorf("before the first poll: %+v", got)
			}
			w.Poll(t.Context())
			got := w.Reports()[0]
			if got.State != test.state || !strings.Contains(got.Detail, test.detail) || len([]rune(got.Detail)) > maxDetail+1 {
				t.Errorf("state %s because of %q, want %s because of %q", got.State, got.Detail, test.state, test.detail)
			}
			if got.Since.IsZero() || got.Checked.IsZero() {
				t.Errorf("since %v, checked %v", got.Since, got.Checked)
			}
		})
	}
}

// roundTrip answers requests without a network, so that time can be faked.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRun lets a component hang, come and go, and watches since when it says so.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int32
		w := NewWatcher([]Component{{Name: "a", Ready: "http://a/"}}, "", roundTrip(func(r *http.Request) (*http.Response, error) {
			if code.Load() == 0 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: int(code.Load()), Status: "status", Body: http.NoBody}, nil
		}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		expect := func(state State, detail string) {
			t.Helper()
			synctest.Wait()
			if got := w.Reports()[0]; got.State != state || got.Detail != detail {
				t.Errorf("%s because of %q, want %s because of %q", got.State, got.Detail, state, detail)
			}
		}
		expect(Unknown, "")
		time.Sleep(pollTimeout)
		expect(Starting, "it has not answered yet")
		time.Sleep(patience)
		expect(NotReady, "no answer within 2s")
		hanging := w.Reports()[0].Since
		time.Sleep(2 * pollInterval)
		if since := w.Reports()[0].Since; !since.Equal(hanging) {
			t.Errorf("not ready since %v, want since it first was, %v", since, hanging)
		}
		code.Store(200)
		time.Sleep(2 * pollInterval)
		expect(Ready, "")
		if since := w.Reports()[0].Since; !since.After(hanging) {
			t.Errorf("ready since %v, want after %v", since, hanging)
		}
		code.Store(500)
		time.Sleep(2 * pollInterval)
		expect(NotReady, "answers status: ")
		cancel()
		<-done
	})
}

// TestPollAsTheStackTells holds what a person is told against what the stack says it is doing about the component.
func TestPollAsTheStackTells(t *testing.T) {
	ready, refuses := serve(t, func(http.ResponseWriter, *http.Request) {}), refusing(t)
	began := time.Now().Add(-time.Minute).Round(0).UTC()
	tests := []struct {
		name   string
		told   progress.Service
		asked  string
		state  State
		detail string
		since  bool // as the stack says
	}{
		{"waiting", progress.Service{Stage: progress.Waiting, Detail: "for its turn"}, refuses, Waiting, "for its turn", true},
		{"building", progress.Service{Stage: progress.Building, Detail: "compiling"}, refuses, Building, "compiling", true},
		{"starting", progress.Service{Stage: progress.Starting}, refuses, Starting, "", true},
		{"fails to start", progress.Service{Stage: progress.Restarting, Detail: "after exit status 1"}, refuses, Starting, "after exit status 1", true},
		{"ready", progress.Service{Stage: progress.Ready, Detail: "in 0.5 s", WasReady: true}, ready, Ready, "", true},
		{"ready before the stack knows", progress.Service{Stage: progress.Starting}, ready, Ready, "", false},
		{"hangs", progress.Service{Stage: progress.Ready, WasReady: true}, refuses, NotReady, "connection refused: it is not running", false},
		{"died", progress.Service{Stage: progress.Restarting, Detail: "after signal: killed", WasReady: true}, refuses, NotReady, "restarting after signal: killed", true},
		{"back but not ready", progress.Service{Stage: progress.Starting, WasReady: true}, refuses, NotReady, "connection refused: it is not running", false},
		{"stopping", progress.Service{Stage: progress.Stopping, WasReady: true}, refuses, Stopping, "", true},
		{"stopped", progress.Service{Stage: progress.Stopped, WasReady: true}, refuses, Stopping, "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "progress.json")
			test.told.Since = began
			if err := (progress.State{Services: map[string]progress.Service{"a": test.told}}).Write(file); err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			w := NewWatcher([]Component{{Name: "a", Ready: test.asked}}, file, transport)
			w.Poll(t.Context())
			got := w.Reports()[0]
			if got.State != test.state || got.Detail != test.detail || got.Since.Equal(began) != test.since {
				t.Errorf("%s because of %q since %v, want %s because of %q, since as told: %v", got.State, got.Detail, got.Since, test.state, test.detail, test.since)
			}
			if pending := test.state == Waiting || test.state == Building || test.state == Starting || test.state == Stopping; got.Pending() != pending {
				t.Errorf("pending %v, want %v", got.Pending(), pending)
			}
		})
	}
}
