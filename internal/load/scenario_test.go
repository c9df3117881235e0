package load

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/internal/transport"
)

// hasten makes a scenario small and quick.
func hasten(t *testing.T, s Scenario, connections int, duration time.Duration) Scenario {
	t.Helper()
	s, err := s.Scale(connections, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	speed := s.Duration / duration
	s.Duration = duration
	for i := range s.Groups {
		g := &s.Groups[i]
		g.Ramp /= speed
		g.Lifetime /= speed
		g.Storm /= speed
		g.Vanish /= speed
	}
	return s
}

// TestScenarios runs each scenario that comes along against a demo that does all right: nothing may be wrong, and what
// the scenario is about has to have happened.
func TestScenarios(t *testing.T) {
	all, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	happened := map[string]func(*Result) bool{
		"chat":         func(r *Result) bool { return r.Acked > 0 && r.Delivered > r.Acked },
		"fan-out":      func(r *Result) bool { return r.Acked > 0 && r.Delivered == r.Acked*int64(r.Connections) },
		"feed":         func(r *Result) bool { return r.Batches >= int64(r.Connections) },
		"idle":         func(r *Result) bool { return r.Connected == int64(r.Connections) && r.Sent == 0 },
		"churn":        func(r *Result) bool { return r.Connected > int64(r.Connections)+5 && r.Acked > 0 },
		"storm":        func(r *Result) bool { return r.Connected >= 2*int64(r.Connections) && r.Acked > 0 },
		"slow-readers": func(r *Result) bool { return r.Expected["message missed by slow or vanished reader"] > 0 },
		"half-open":    func(r *Result) bool { return r.Expected["vanished, noticed by the server"] == 10 },
		"oversize":     func(r *Result) bool { return r.Expected["oversize: closed with 1009"] > 0 },
		"bad-tokens":   func(r *Result) bool { return r.Provocations > 50 && len(r.Expected) == 5 },
		"malformed":    func(r *Result) bool { return r.Provocations > 50 && len(r.Expected) == len(malformed()) },
		"transports": func(r *Result) bool {
			return len(r.Transports) == len(transport.Names()) && !slices.ContainsFunc(r.Transports, func(t Transport) bool {
				return t.Connections != 6 || t.Delivered == 0
			}) && r.Connected > int64(r.Connections)
		},
		"mixed": func(r *Result) bool {
			return r.Acked > 0 && r.Batches > 0 && r.Provocations > 0 && r.Connected > int64(r.Connections)
		},
	}
	for _, scenario := range all {
		t.Run(scenario.Name, func(t *testing.T) {
			t.Parallel()
			if scenario.About == "" {
				t.Error("it does not say what it is about")
			}
			cfg, duration := demo.Config{BatchWindow: 100 * time.Millisecond}, 2*time.Second
			if scenario.Name == "half-open" {
				cfg.Heartbeat, duration = 2*time.Second, 6*time.Second // so that the vanished are noticed
			}
			s := start(t, cfg)
			r := runLoad(t.Context(), t, Config{
				URLs: []string{s.url}, GRPC: []string{s.grpc}, Scenario: hasten(t, scenario, 30, duration), Verify: true,
			})
			if err := r.Err(); err != nil {
				t.Errorf("%v: %v", err, r.Reasons)
			}
			if diff := cmp.Diff(&History{Kept: r.Acked}, r.History); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			if check := happened[scenario.Name]; check == nil || !check(r) {
				t.Errorf("what it is about has not happened: %+v", r)
			}
		})
	}
}

func TestFindScenario(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.yaml")
	text := "about: Mine.\nduration: 3s\ngroups:\n  - {name: a, does: chat, connections: 20, rate: 2.5, text: 9, ramp: 1s}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := FindScenario(file)
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{Name: "own", About: "Mine.", Duration: 3 * time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Connections: 20, Rate: 2.5, Text: 9, Ramp: time.Second},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scenario (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"nothing": "--list", "./nothing.yaml": "no such file"} {
		if _, err := FindScenario(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, want)
		}
	}
}

func TestScale(t *testing.T) {
	s := Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Connections: 30, Rooms: 3, Rate: 10},
		{Name: "b", Does: Chat, Connections: 10, Rooms: 5, Rate: 30},
		{Name: "c", Does: BadToken, Rate: 40},
	}}
	got, err := s.Scale(8, 8, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Connections: 6, Rooms: 1, Rate: 1},
		{Name: "b", Does: Chat, Connections: 2, Rooms: 1, Rate: 3},
		{Name: "c", Does: BadToken, Rate: 4},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scaled down (-want +got):\n%s", diff)
	}
	if got, err = s.Scale(80, 0, 7); err != nil {
		t.Fatal(err)
	}
	want = Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Connections: 60, Rooms: 7, Rate: 10},
		{Name: "b", Does: Chat, Connections: 20, Rooms: 7, Rate: 30},
		{Name: "c", Does: BadToken, Rate: 40},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scaled up, in 7 rooms (-want +got):\n%s", diff)
	}
	if s.Groups[0].Rooms != 3 {
		t.Error("the scenario itself was changed")
	}
	if _, err := s.Scale(-1, 0, 0); err == nil {
		t.Error("fewer connections than none are accepted")
	}
	if _, err := s.Scale(0, 0, 31); err == nil {
		t.Error("more rooms than connections are accepted")
	}
}

func TestOver(t *testing.T) {
	s := Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Connections: 30, Rooms: 3, Rate: 10},
		{Name: "b", Does: Chat, Connections: 5},
	}}
	got, err := s.Over(transport.SSE)
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a", Does: Chat, Transport: transport.SSE, Connections: 30, Rooms: 3, Rate: 10},
		{Name: "b", Does: Chat, Transport: transport.SSE, Connections: 5},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("over SSE (-want +got):\n%s", diff)
	}
	if got, err = s.Over(transport.Poll); err != nil {
		t.Fatal(err)
	}
	want = Scenario{Duration: time.Second, Groups: []Group{
		{Name: "a, sending", Does: Chat, Connections: 3, Rooms: 3, Rate: 10},
		{Name: "a", Does: Chat, Transport: transport.Poll, Connections: 27, Rooms: 3},
		{Name: "b", Does: Chat, Transport: transport.Poll, Connections: 5},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("over polls (-want +got):\n%s", diff)
	}
}

func TestParseScenarioRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                {"", "EOF"},
		"no YAML":                {"\t", "YAML"},
		"unknown field":          {"duration: 1s\ncolour: red", "colour"},
		"unknown field within":   {oneGroup("does: chat, connections: 1, colour: red"), "colour"},
		"two documents":          {oneGroup("does: chat, connections: 1") + "\n---\nduration: 2s", "one scenario"},
		"no duration":            {"groups: [{name: a, does: chat, connections: 1}]", "duration"},
		"no groups":              {"duration: 1s", "groups"},
		"no name":                {"duration: 1s\ngroups: [{does: chat, connections: 1}]", "name"},
		"unknown behaviour":      {oneGroup("does: dance, connections: 1"), "dance"},
		"no connections":         {oneGroup("does: chat"), "connections"},
		"connections of none":    {oneGroup("does: bad-token, connections: 1, rate: 1"), "leave them out"},
		"negative rate":          {oneGroup("does: chat, connections: 1, rate: -1"), "rate"},
		"rate that is none":      {oneGroup("does: chat, connections: 1, rate: .nan"), "rate"},
		"endless rate":           {oneGroup("does: chat, connections: 1, rate: .inf"), "rate"},
		"provocation at no rate": {oneGroup("does: malformed, connections: 1"), "rate"},
		"rate of idleness":       {oneGroup("does: idle, connections: 1, rate: 1"), "rate"},
		"rooms of idleness":      {oneGroup("does: idle, connections: 1, rooms: 1"), "rooms"},
		"empty rooms":            {oneGroup("does: chat, connections: 1, rooms: 2"), "rooms"},
		"text too long":          {oneGroup("does: chat, connections: 1, text: 5000"), "text"},
		"negative time":          {oneGroup("does: chat, connections: 1, lifetime: -1s"), "negative"},
		"vanishing sender":       {oneGroup("does: chat, connections: 1, vanish: 1s, rate: 1"), "vanishes"},
		"slow provocation":       {oneGroup("does: oversize, connections: 1, rate: 1, read: 5"), "oversize"},
		"provocation over SSE":   {oneGroup("does: oversize, connections: 1, rate: 1, transport: sse"), "WebSockets"},
		"poll that sends":        {oneGroup("does: chat, connections: 1, rate: 1, transport: poll"), "can't send"},
		"poll of the feed":       {oneGroup("does: feed, connections: 1, transport: poll"), "only listen"},
		"poll that vanishes":     {oneGroup("does: chat, connections: 1, vanish: 1s, transport: poll"), "no connection"},
		"unknown transport":      {oneGroup("does: chat, connections: 1, transport: pigeon"), "pigeon"},
		"too much to count":      {oneGroup("does: chat, connections: 1, rate: 1e12"), "messages"},
	} {
		if _, err := ParseScenario([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tc.want)
		}
	}
}

// oneGroup is a scenario with a group.
func oneGroup(fields string) string { return "duration: 1s\ngroups: [{name: a, " + fields + "}]" }
