package history_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sockscope/sockscope/demo/history"
)

// kafkaVariable names brokers of a real Kafka, as in 127.0.0.1:9092, for the tests that do a broker no harm.
const kafkaVariable = "SOCKSCOPE_TEST_KAFKA"

// brokers are those of the tests that do them no harm: real ones, or one in this process.
var brokers []string

// startBrokers returns what ends them.
func startBrokers() (end func(), err error) {
	if given := os.Getenv(kafkaVariable); given != "" {
		brokers = strings.Split(given, ",")
		return func() {}, nil
	}
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		return nil, fmt.Errorf("start a broker: %w", err)
	}
	brokers = fake.ListenAddrs()
	return fake.Close, nil
}

// newTopic returns a topic that is not there yet, and is deleted at the end of the test.
func newTopic(t testing.TB) history.Topic {
	t.Helper()
	topic := history.Topic{Brokers: brokers, Name: "history-" + uuid.NewString()}
	t.Cleanup(func() {
		if _, err := newAdmin(t, topic).DeleteTopic(context.Background(), topic.Name); err != nil {
			t.Errorf("delete the topic: %v", err)
		}
	})
	return topic
}

func newAdmin(t testing.TB, topic history.Topic) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(topic.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

func newKafka(t testing.TB, limits history.Limits) *history.Kafka {
	t.Helper()
	return joinKafka(t, newTopic(t), limits)
}

// joinKafka returns another instance's store.
func joinKafka(t testing.TB, topic history.Topic, limits history.Limits) *history.Kafka {
	t.Helper()
	return openKafka(t, topic, filepath.Join(t.TempDir(), "view.db"), limits)
}

func openKafka(t testing.TB, topic history.Topic, path string, limits history.Limits) *history.Kafka {
	t.Helper()
	k, err := history.OpenKafka(t.Context(), topic, path, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// A broker is one in this process for a test that harms it. Acknowledged messages outlive it.
type broker struct {
	t    *testing.T
	dir  string
	port int
	*kfake.Cluster
}

func newBroker(t *testing.T) *broker {
	b := &broker{t: t, dir: t.TempDir()}
	b.start()
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *broker) start() {
	b.t.Helper()
	options := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(b.dir), kfake.SyncWrites()}
	if b.port != 0 {
		options = append(options, kfake.Ports(b.port))
	}
	var err error
	if b.Cluster, err = kfake.NewCluster(options...); err != nil {
		b.t.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", b.ListenAddrs()[0])
	if err != nil {
		b.t.Fatal(err)
	}
	b.port = addr.Port
}

func (b *broker) topic() history.Topic {
	return history.Topic{Brokers: b.ListenAddrs(), Name: "history"}
}

// A valve holds back what the brokers say while it is closed, as a broker that hangs would.
type valve struct {
	mu     sync.Mutex
	opened chan struct{} // closed while the valve is open
}

func newValve() *valve {
	v := &valve{opened: make(chan struct{})}
	v.open()
	return v
}

func (v *valve) open() { v.mu.Lock(); defer v.mu.Unlock(); close(v.opened) }

func (v *valve) close() { v.mu.Lock(); defer v.mu.Unlock(); v.opened = make(chan struct{}) }

func (v *valve) option() kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &valved{Conn: conn, valve: v, gone: make(chan struct{})}, err
	})
}

type valved struct {
	net.Conn
	valve *valve
	once  sync.Once
	gone  chan struct{}
}

func (c *valved) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.valve.mu.Lock()
	opened := c.valve.opened
	c.valve.mu.Unlock()
	select {
	case <-opened:
	case <-c.gone:
	}
	return n, err
}

func (c *valved) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// produce writes a record that is not from a store.
func produce(t *testing.T, topic history.Topic, key, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(topic.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := &kgo.Record{Topic: topic.Name, Key: []byte(key), Value: []byte(value), Timestamp: time.Now()}
	if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
