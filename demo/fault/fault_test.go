package fault

import (
	"context"
	"encoding/json"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newSwitch() *Switch {
	return &Switch{Name: "slow", Description: "slower", Unit: "ms", Min: 1, Max: 100}
}

func TestSwitchHealsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitch()
		if s.On() || s.Strength() != 0 {
			t.Fatal("a new switch is on")
		}
		ctx, err := s.TurnOn(50, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		want := State{Name: "slow", Description: "slower", Unit: "ms", Min: 1, Max: 100, On: true, Strength: 50,
			Began: start, Ends: start.Add(time.Minute)}
		if diff := cmp.Diff(want, s.State()); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		s.Hold(t.Context(), 10*time.Second)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("held for %v, want 10s", took)
		}
		s.Hold(t.Context(), time.Hour)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("healed after %v, want 1m", took)
		}
		if s.On() || s.Strength() != 0 || ctx.Err() == nil {
			t.Error("healed, yet still on")
		}
		s.Hold(t.Context(), time.Hour)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("held for %v by a fault that is off", took-time.Minute)
		}
	})
}

func TestTurnOnAgainReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitch()
		first, err := s.TurnOn(50, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TurnOn(60, time.Minute); err != nil {
			t.Fatal(err)
		}
		if first.Err() == nil {
			t.Error("the first fault goes on beside the second")
		}
		time.Sleep(2 * time.Second)
		if s.Strength() != 60 {
			t.Errorf("strength %v, want 60: the end of the first fault ended the second", s.Strength())
		}
		s.TurnOff()
		s.TurnOff()
		if s.On() {
			t.Error("turned off, yet on")
		}
	})
}

func TestTurnOnRefuses(t *testing.T) {
	for _, tc := range []struct {
		strength float64
		d        time.Duration
	}{{0, time.Second}, {101, time.Second}, {math.NaN(), time.Second}, {math.Inf(1), time.Second}, {1, 0}, {1, -1}, {1, MaxDuration + 1}} {
		s := newSwitch()
		if _, err := s.TurnOn(tc.strength, tc.d); err == nil || s.On() {
			t.Errorf("TurnOn(%v, %v) = %v, on %t: want an error", tc.strength, tc.d, err, s.On())
		}
	}
}

func TestAPI(t *testing.T) {
	s := newSwitch()
	var turned []string
	h := NewAPI(func(_ context.Context, s *Switch) error { turned = append(turned, s.Name); return nil }, s).Handler()
	do := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, tc := range []struct {
		method, path, body string
		code               int
		on                 bool
	}{
		{"GET", "/fault", "", 200, false},
		{"PUT", "/fault/none", `{"strength":1,"duration":"1s"}`, 404, false},
		{"PUT", "/fault/slow", `{"strength":1000,"duration":"1m"}`, 400, false},
		{"PUT", "/fault/slow", `{"duration":"1m"}`, 400, false},
		{"PUT", "/fault/slow", `{"strength":10,"duration":"soon"}`, 400, false},
		{"PUT", "/fault/slow", `{"strength":10,"duration":"1m","x":1}`, 400, false},
		{"PUT", "/fault/slow", strings.Repeat(" ", 2<<10) + `{"strength":10,"duration":"1m"}`, 400, false},
		{"POST", "/fault/slow", `{"strength":10,"duration":"1m"}`, 405, false},
		{"PUT", "/fault/slow", `{"strength":10,"duration":"1m"}`, 200, true},
		{"GET", "/fault", "", 200, true},
		{"DELETE", "/fault/none", "", 404, true},
		{"DELETE", "/fault/slow", "", 200, false},
		{"DELETE", "/fault/slow", "", 200, false},
	} {
		code, body := do(tc.method, tc.path, tc.body)
		if code != tc.code || s.On() != tc.on {
			t.Errorf("%s %s %s: %d, on %t, want %d, %t\n%s", tc.method, tc.path, strings.TrimSpace(tc.body), code, s.On(), tc.code, tc.on, body)
		}
	}
	if diff := cmp.Diff([]string{"slow"}, turned); diff != "" {
		t.Errorf("turned on (-want +got):\n%s", diff)
	}
	_, body := do("GET", "/fault", "")
	var list struct{ Faults []State }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Faults) != 1 || list.Faults[0].Name != "slow" {
		t.Errorf("the list is %s (%v)", body, err)
	}
}

func TestHits(t *testing.T) {
	s := &Switch{Name: "some", Unit: "share", Min: 0.01, Max: 1}
	hits := func() (n int) {
		for range 10_000 {
			if s.Hits() {
				n++
			}
		}
		return n
	}
	for _, share := range []float64{0, 0.25, 1} {
		if share > 0 {
			if _, err := s.TurnOn(share, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if n, want := hits(), 10_000*share; math.Abs(float64(n)-want) > 500*share*(1-share)*4 {
			t.Errorf("a share of %v hits %d times of 10,000", share, n)
		}
	}
	s.TurnOff()
}

func TestUnavailable(t *testing.T) {
	s := newSwitch()
	s.Unavailable = "buy another"
	if _, err := s.TurnOn(1, time.Second); err == nil || !strings.Contains(err.Error(), "buy another") || s.On() {
		t.Errorf("turned on: %v, on %t", err, s.On())
	}
	if diff := cmp.Diff(State{Name: "slow", Description: "slower", Unit: "ms", Min: 1, Max: 100, Unavailable: "buy another"}, s.State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}
