package demo

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/fault"
)

// TestFaultsOfSeveralNodes turns faults on at one node and at all of them. Each node tells which have them, and one is
// enough to turn them off everywhere, even while the nodes are cut off from each other.
func TestFaultsOfSeveralNodes(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, newRedisServer(t), 3, Config{})
	all := []string{"node-0", "node-1", "node-2"}
	for _, n := range nodes {
		n.eventually(func() bool {
			_, body := n.do(http.MethodGet, "/fault", "")
			var list struct{ Instances []string }
			return json.Unmarshal([]byte(body), &list) == nil && slices.Equal(list.Instances, all)
		}, func() string { return "a node does not find the others" })
	}
	have := func(name string, want ...string) {
		t.Helper()
		for i, n := range nodes {
			state := n.fault(name)
			if diff := cmp.Diff(want, state.Instances); diff != "" || state.On != slices.Contains(want, all[i]) {
				t.Errorf("%s is on %v at %s, which have it (-want +got):\n%s", name, state.On, all[i], diff)
			}
		}
	}
	put := func(n node, name, query, strength string) (int, fault.State, string) {
		t.Helper()
		code, body := n.do(http.MethodPut, "/fault/"+name+query, `{"strength":`+strength+`,"duration":"5m"}`)
		var s fault.State
		_ = json.Unmarshal([]byte(body), &s)
		return code, s, body
	}

	if code, s, _ := put(nodes[0], "slow_handling", "", "5"); code != http.StatusOK || !slices.Equal(s.Instances, all[:1]) {
		t.Errorf("turned on at one: %d, %+v", code, s)
	}
	have("slow_handling", "node-0")
	for _, name := range []string{"slow_handling", "backplane_down"} {
		strength := map[string]string{"slow_handling": "7", "backplane_down": "1"}[name]
		if code, s, _ := put(nodes[1], name, "?instances=all", strength); code != http.StatusOK || !slices.Equal(s.Instances, all) {
			t.Errorf("%s turned on at all: %d, %+v", name, code, s)
		}
		have(name, all...)
	}
	for _, n := range nodes {
		if s := n.fault("slow_handling"); s.Strength != 7 {
			t.Errorf("the strength is %v, want 7", s.Strength)
		}
	}
	for _, name := range []string{"slow_handling", "backplane_down"} {
		if code, body := nodes[2].do(http.MethodDelete, "/fault/"+name+"?instances=all", ""); code != http.StatusOK {
			t.Errorf("%s turned off at all: %d %s", name, code, body)
		}
		have(name)
	}

	nodes[2].shutdown()
	code, _, body := put(nodes[0], "slow_handling", "?instances=all", "5")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "node-2: the server is draining") {
		t.Errorf("with a node that drains: %d %s", code, body)
	}
	have("slow_handling", all[:2]...)
}
