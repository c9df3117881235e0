package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestParseTarget(t *testing.T) {
	type parts struct{ Name, Socket, Room string }
	for s, want := range map[string]parts{
		"ws://127.0.0.1:8080/ws":       {"127.0.0.1:8080", "ws://127.0.0.1:8080/ws", "probe.127.0.0.1-8080"},
		"eu=wss://eu.example.com":      {"eu", "wss://eu.example.com/ws", "probe.eu"},
		"=ws://[::1]:8080/ws":          {"[::1]:8080", "ws://[::1]:8080/ws", "probe.---1--8080"},
		"the east=ws://127.0.0.1:1/ws": {"the east", "ws://127.0.0.1:1/ws", "probe.the-east"},
	} {
		target, err := ParseTarget(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if diff := cmp.Diff(want, parts{target.Name, target.Server.Socket(), target.room()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
		if err := wire.CheckRoom(target.room()); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "eu", "eu=", "http://127.0.0.1:8080/ws", "eu=127.0.0.1:8080"} {
		if target, err := ParseTarget(s); err == nil {
			t.Errorf("%q is taken for %+v", s, target)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	target := func(s string) Target {
		t.Helper()
		target, err := ParseTarget(s)
		if err != nil {
			t.Fatal(err)
		}
		return target
	}
	eu := target("eu=ws://127.0.0.1:1/ws")
	for want, cfg := range map[string]Config{
		"no target":     {Interval: time.Second, Timeout: time.Second},
		"interval":      {Targets: []Target{eu}, Interval: time.Second, Timeout: time.Second + 1},
		"timeout of 0s": {Targets: []Target{eu}, Interval: time.Second},
		"different":     {Targets: []Target{eu, eu}, Interval: time.Second, Timeout: time.Second},
		"longer than": {
			Targets: []Target{target(strings.Repeat("e", wire.MaxRoomBytes) + "=ws://127.0.0.1:1/ws")}, Interval: time.Second, Timeout: time.Second,
		},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error about %q", err, want)
		}
	}
}
