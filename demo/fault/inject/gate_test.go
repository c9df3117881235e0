package inject

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/instrument"
)

// TestConnectionLimitOfManyAtOnce has many come at once where there is one place: one of them gets it.
func TestConnectionLimitOfManyAtOnce(t *testing.T) {
	t.Parallel()
	const many = 5
	faults := newFaults(t, nil)
	if _, err := faults.connectionLimit.TurnOn(1, time.Minute); err != nil {
		t.Fatal(err)
	}
	door := admission.New(admission.Config{Connections: many, ConnectionsPerAddress: many})
	// Each waits for the others before it counts and before it says so, or until they have had the time to come.
	meet := func(met *atomic.Int32) {
		met.Add(1)
		for deadline := time.Now().Add(10 * time.Millisecond); met.Load() < many && time.Now().Before(deadline); {
			runtime.Gosched()
		}
	}
	var entered, counted atomic.Int32
	gate := faults.Gate(door, func() int {
		meet(&entered)
		n := door.Open()
		meet(&counted)
		return n
	})
	var all sync.WaitGroup
	var let atomic.Int32
	for range many {
		all.Go(func() {
			switch _, _, refused := gate.Enter(t.Context(), httptest.NewRequest(http.MethodGet, "/ws", nil)); {
			case refused == nil:
				let.Add(1)
			case refused.Status != instrument.StatusOverCapacity:
				t.Errorf("refused with %v", refused.Status)
			}
		})
	}
	all.Wait()
	if n := let.Load(); n != 1 {
		t.Errorf("%d are let in, want 1", n)
	}
}

// TestHandshakeErrorsOfPagesFromElsewhere has pages from elsewhere refused as ever, and everybody else get the error.
func TestHandshakeErrorsOfPagesFromElsewhere(t *testing.T) {
	t.Parallel()
	faults := newFaults(t, nil)
	if _, err := faults.handshakeErrors.TurnOn(1, time.Minute); err != nil {
		t.Fatal(err)
	}
	door := admission.New(admission.Config{Connections: 1, ConnectionsPerAddress: 1})
	gate := faults.Gate(door, door.Open)
	for name, tc := range map[string]struct {
		header, value string
		want          int
	}{
		"nobody":              {"", "", http.StatusInternalServerError},
		"a token that is bad": {"Authorization", "Bearer", http.StatusInternalServerError},
		"a page of ours":      {"Origin", "http://example.com", http.StatusInternalServerError},
		"a page of others":    {"Origin", "http://elsewhere.example", http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/ws", nil)
		if tc.header != "" {
			r.Header.Set(tc.header, tc.value)
		}
		if _, _, refused := gate.Enter(t.Context(), r); refused == nil || refused.Code != tc.want {
			t.Errorf("%s: %v, want %d", name, refused, tc.want)
		}
	}
	if n := door.Open(); n != 0 {
		t.Errorf("%d places are taken by those who were refused", n)
	}
}
