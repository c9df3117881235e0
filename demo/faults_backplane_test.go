package demo

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

// ownRedis starts a Redis for one test and returns its address.
func ownRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test needs a Redis of its own, install redis-server: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	for end := time.Now().Add(patience); client.Ping(context.Background()).Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("redis on %s does not answer", addr)
		}
	}
	return addr
}

// twoNodes starts a service of two nodes, with a client in the lobby at each.
func twoNodes(t *testing.T) (here, there *fixture, ada, ben *client) {
	t.Helper()
	addr := ownRedis(t)
	node := func(name string) *fixture {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { client.Close() })
		store, err := history.NewRedis(client, history.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f := start(t, Config{Redis: client, History: store, Node: name})
		f.awaitSeries(map[string]float64{"backplane_up redis": 1})
		return f
	}
	here, there = node("here"), node("there")
	ada, ben = here.dial("Ada"), there.dial("Ben")
	ada.succeed(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	ben.succeed(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	return here, there, ada, ben
}

// messages reads messages until it has got that many and returns what they say.
func (c *client) messages(n int) []string {
	c.t.Helper()
	var texts []string
	for len(texts) < n {
		env, err := c.read()
		if err != nil {
			c.t.Fatalf("after %q: %v", texts, err)
		}
		if env.Type != wire.TypeMessage {
			continue // who is in the room is told at another time
		}
		var p wire.MessagePayload
		if err := json.Unmarshal(env.Payload, &p); err != nil {
			c.t.Fatal(err)
		}
		texts = append(texts, p.Text)
	}
	return texts
}

// tell says something and waits until it is saved.
func (c *client) tell(text string) {
	c.t.Helper()
	c.succeed(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
}

// succeed asks for something and waits until it is done.
func (c *client) succeed(typ wire.Type, payload any) {
	c.t.Helper()
	id := c.send(typ, payload)
	for {
		env, err := c.read()
		if err != nil {
			c.t.Fatalf("no ack of %s %v: %v", typ, payload, err)
		}
		if env.Type == wire.TypeAck && env.MessageID == id {
			if !strings.Contains(string(env.Payload), `"success":true`) {
				c.t.Fatalf("ack of %s %v: %s", typ, payload, env.Payload)
			}
			return
		}
	}
}

func TestBackplaneDown(t *testing.T) {
	t.Parallel()
	here, _, ada, ben := twoNodes(t)
	ada.tell("before")
	here.turnOn("backplane_down", 1, "1m")
	here.awaitSeries(map[string]float64{"backplane_up redis": 0})
	ada.tell("meanwhile, here")
	ben.tell("meanwhile, there")
	if code, body := here.do(http.MethodGet, "/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "refused") {
		t.Errorf("/readyz: %d %s, want 503 because connections are refused", code, body)
	}
	if lost := here.metrics("websocket_backplane_messages_total")["backplane_messages_total redis transmit error"]; lost < 1 {
		t.Errorf("%v messages could not be published, want 1 or more", lost)
	}
	here.turnOff("backplane_down")
	here.awaitSeries(map[string]float64{"backplane_up redis": 1})
	want := []string{"before", "meanwhile, here", "meanwhile, there"}
	if diff := cmp.Diff(want[1:], ada.messages(2)); diff != "" {
		t.Errorf("Ada gets (-want +got):\n%s", diff)
	}
	ben.tell("after")
	if diff := cmp.Diff([]string{"after"}, ada.messages(1)); diff != "" {
		t.Errorf("Ada gets (-want +got):\n%s", diff)
	}
}

func TestBackplanePartition(t *testing.T) {
	t.Parallel()
	here, there, ada, ben := twoNodes(t)
	here.turnOn("backplane_partition", 1, "1m")
	ada.tell("unheard") // and saved
	here.awaitSeries(map[string]float64{"backplane_up redis": 0})
	there.awaitSeries(map[string]float64{"backplane_up redis": 1, "messages_total transmit message": 0})
	here.turnOff("backplane_partition")
	here.awaitSeries(map[string]float64{"backplane_up redis": 1})
	if diff := cmp.Diff([]string{"unheard"}, ben.messages(1)); diff != "" {
		t.Errorf("Ben gets (-want +got):\n%s", diff)
	}
	ben.tell("heard")
	if diff := cmp.Diff([]string{"unheard", "heard"}, ada.messages(2)); diff != "" {
		t.Errorf("Ada gets (-want +got):\n%s", diff)
	}
}

func TestBackplaneLag(t *testing.T) {
	t.Parallel()
	_, there, ada, ben := twoNodes(t)
	there.turnOn("backplane_lag", 400, "1m")
	begin := time.Now()
	for _, text := range []string{"one", "two", "three"} {
		ada.tell(text)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, ben.messages(3)); diff != "" {
		t.Errorf("Ben gets (-want +got):\n%s", diff)
	}
	took := time.Since(begin)
	lag, heard := there.lag()
	if took < 400*time.Millisecond || heard < 3 || lag < heard*0.4 || lag > heard*took.Seconds() {
		t.Errorf("heard after %v, with a lag of %v s of %v messages in all", took, lag, heard)
	}
	there.turnOff("backplane_lag")
	before, _ := there.lag()
	for range 20 {
		ada.tell("quickly")
	}
	ben.messages(20)
	if lag, _ := there.lag(); lag-before > 20*0.4 {
		t.Errorf("a lag of %v s in all after healing", lag-before)
	}
}

// lag returns the time that all messages of other nodes took together, in seconds, and how many those were: the nodes'
// reminders are among them.
func (f *fixture) lag() (sum, n float64) {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "websocket_backplane_lag_seconds" {
			for _, m := range family.GetMetric() {
				sum += m.GetHistogram().GetSampleSum()
				n += float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum, n
}
