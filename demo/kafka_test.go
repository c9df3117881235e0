package demo

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sockscope/sockscope/demo/history"
)

// TestKafkaNodes lets people on two nodes talk whose messages are in Kafka: all get all, once and in order, although
// the broker is away for a while.
func TestKafkaNodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SyncWrites())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	address := broker.ListenAddrs()[0]
	open := func(*redis.Client) (history.Store, error) {
		topic := history.Topic{Brokers: []string{address}, Name: "history"}
		store, err := history.OpenKafka(t.Context(), topic, filepath.Join(t.TempDir(), "view.db"), history.Limits{})
		if err == nil {
			t.Cleanup(func() { _ = store.Close() })
		}
		return store, err
	}
	nodes := startNodesWith(t, newRedisServer(t), 2, Config{Limits: Limits{MessagesPerSecond: 1e6}}, open)
	members := []*member{nodes[0].enter("Ada"), nodes[1].enter("Ben")}
	const each = 20
	talk(t, members, each)
	broker.Close()
	nodes[0].eventually(func() bool { return !nodes[0].isReady() }, func() string { return "ready without the store" })
	var port int
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	if broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SyncWrites(), kfake.Ports(port)); err != nil {
		t.Fatal(err)
	}
	talk(t, members, each)
	for i, n := range nodes {
		n.eventually(func() bool { return len(members[i].got()) >= 4*each },
			func() string { return fmt.Sprintf("%d messages", len(members[i].got())) })
		assertHistory(t, nodes[1-i].chat.history, fmt.Sprint("node-", i), members[i])
	}
}
