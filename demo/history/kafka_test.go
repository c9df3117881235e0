package history_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sockscope/sockscope/demo/history"
)

// TestKafkaSharesAtOnce reads with one instance what another has just been told is kept.
func TestKafkaSharesAtOnce(t *testing.T) {
	topic := newTopic(t)
	one, two := joinKafka(t, topic, history.Limits{}), joinKafka(t, topic, history.Limits{})
	for i := range 50 {
		said := say(t, one, "lobby", fmt.Sprint(i))
		equal(t, "what follows", said, after(t, two, "lobby", uint64(i), 10))
		equal(t, "mark", nil, two.MarkRead(t.Context(), "lobby", "ada", uint64(i+1)))
		reads, err := one.Reads(t.Context(), "lobby")
		equal(t, "error", nil, err)
		equal(t, "marks", map[string]uint64{"ada": uint64(i + 1)}, reads)
		one, two = two, one
	}
}

func TestKafkaDown(t *testing.T) {
	b := newBroker(t)
	store := joinKafka(t, b.topic(), history.Limits{})
	said := say(t, store, "lobby", "1")
	topic := b.topic()
	b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err1 := store.Append(ctx, message("lobby", "2", "2"))
	_, err2 := store.Latest(ctx, "lobby", 1)
	for _, err := range []error{err1, err2, store.MarkRead(ctx, "lobby", "ada", 1), store.Ping(ctx)} {
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	}
	_, err := history.OpenKafka(ctx, topic, filepath.Join(t.TempDir(), "view.db"), history.Limits{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open: %v", err)
	}
	b.start()
	// The first attempt may have been kept, and is only now.
	eventually(t, func() string {
		m, err := appendInTime(t.Context(), store, message("lobby", "2", "2"))
		if err != nil {
			return err.Error()
		}
		said = append(said[:1], m)
		return ""
	})
	equal(t, "what is kept", said, after(t, store, "lobby", 0, 10))
}

// TestKafkaHangs has calls end with their deadline while the broker says nothing, and go on when it does again.
func TestKafkaHangs(t *testing.T) {
	b := newBroker(t)
	hang := newValve()
	topic := b.topic()
	topic.Options = append(topic.Options, hang.option())
	store := joinKafka(t, topic, history.Limits{})
	said := say(t, store, "lobby", "1")
	hang.close()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, _, err1 := store.Append(ctx, message("lobby", fmt.Sprint("hangs ", i), ""))
			_, err2 := store.After(ctx, "lobby", 0, 1)
			for _, err := range []error{err1, err2} {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	hang.open()
	for i := range 50 {
		m, _, err := store.Append(t.Context(), message("lobby", fmt.Sprint("hangs ", i), ""))
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, m)
	}
	sortBySeq(said)
	equal(t, "what is kept", said, after(t, store, "lobby", 0, 100))
	equal(t, "the newest", uint64(51), said[50].Seq)
}

// TestKafkaRefusesToKeep is a broker that has too few replicas.
func TestKafkaRefusesToKeep(t *testing.T) {
	b := newBroker(t)
	store := joinKafka(t, b.topic(), history.Limits{})
	fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.PolicyViolation, Count: -1})
	_, _, err := store.Append(t.Context(), message("lobby", "1", "1"))
	if !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("append: %v", err)
	}
	fault.Remove()
	equal(t, "number", uint64(1), say(t, store, "lobby", "1")[0].Seq)
}

// TestKafkaJoinsLate deletes the oldest records. Instances that have read them and those that have not agree on every
// number all the same.
func TestKafkaJoinsLate(t *testing.T) {
	b := newBroker(t)
	old := joinKafka(t, b.topic(), history.Limits{})
	said := say(t, old, "lobby", "1", "2", "3")
	say(t, old, "cellar", "1", "2")
	said = append(said, say(t, old, "lobby", "4", "5")...)
	if err := b.DeleteRecords("history", 0, 6); err != nil { // all but the last
		t.Fatal(err)
	}
	late := joinKafka(t, b.topic(), history.Limits{})
	equal(t, "what came late", said[4:], after(t, late, "lobby", 0, 10))
	said = append(said, say(t, late, "lobby", "6")...)
	said = append(said, say(t, old, "lobby", "7")...)
	equal(t, "what came late", said[4:], after(t, late, "lobby", 0, 10))
	equal(t, "what was there before", said, after(t, old, "lobby", 0, 10))

	// To who came late the cellar is a new room, so it is one to all.
	again := say(t, late, "cellar", "3")
	equal(t, "number", uint64(1), again[0].Seq)
	again = append(again, say(t, old, "cellar", "4")...)
	for _, s := range []history.Store{late, old} {
		equal(t, "what the new room has", again, after(t, s, "cellar", 0, 10))
	}
}

// TestKafkaView opens files again: of the same topic, of another, and after they were deleted.
func TestKafkaView(t *testing.T) {
	b := newBroker(t)
	path := filepath.Join(t.TempDir(), "view.db")
	var said []history.Message
	for i := range 3 {
		k := openKafka(t, b.topic(), path, history.Limits{})
		said = append(said, say(t, k, "lobby", fmt.Sprint(i))...)
		equal(t, "close", nil, k.Close())
	}
	if err := b.DeleteRecords("history", 0, 3); err != nil {
		t.Fatal(err)
	}
	k := openKafka(t, b.topic(), path, history.Limits{})
	equal(t, "what the file has, Kafka no longer", said, after(t, k, "lobby", 0, 10))
	said = append(said, say(t, k, "lobby", "3")...)
	equal(t, "close", nil, k.Close())

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	k = openKafka(t, b.topic(), path, history.Limits{})
	equal(t, "what Kafka has", said[3:], after(t, k, "lobby", 0, 10))
	equal(t, "close", nil, k.Close())

	if err := b.DeleteTopic("history"); err != nil {
		t.Fatal(err)
	}
	k = openKafka(t, b.topic(), path, history.Limits{})
	equal(t, "how many a new topic has", 0, len(after(t, k, "lobby", 0, 10)))
	equal(t, "number", uint64(1), say(t, k, "lobby", "0")[0].Seq)
}

// TestKafkaLost is a topic that has lost what the instance has read.
func TestKafkaLost(t *testing.T) {
	b := newBroker(t)
	path := filepath.Join(t.TempDir(), "view.db")
	store := openKafka(t, b.topic(), path, history.Limits{})
	say(t, store, "lobby", "1")
	b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.OffsetOutOfRange, Count: -1})
	eventually(t, func() string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := store.Ping(ctx); err == nil || !strings.Contains(err.Error(), "restart this instance") {
			return fmt.Sprint("ping: ", err)
		}
		return ""
	})
	_, _, err1 := store.Append(t.Context(), message("lobby", "2", "2"))
	_, err2 := store.Latest(t.Context(), "lobby", 1)
	for _, err := range []error{err1, err2} {
		if err == nil || !strings.Contains(err.Error(), "the topic has lost messages") {
			t.Errorf("%v", err)
		}
	}
}

func TestKafkaTopicsThatAreRefused(t *testing.T) {
	b := newBroker(t)
	compacted, brief := map[string]string{"cleanup.policy": "compact"}, map[string]string{"retention.ms": "60000"}
	for _, err := range []error{
		b.CreateTopic("many", 2, nil), b.CreateTopic("compacted", 1, compacted), b.CreateTopic("brief", 1, brief),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"many":      "topic many has 2 partitions: it needs exactly one",
		"compacted": "set its cleanup.policy to delete",
		"brief":     "topic brief keeps messages for 1m0s only: set its retention.ms to 608400000 or more",
	} {
		topic := history.Topic{Brokers: b.ListenAddrs(), Name: name}
		_, err := history.OpenKafka(t.Context(), topic, filepath.Join(t.TempDir(), "view.db"), history.Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("topic %s: %v, want %s", name, err, want)
		}
	}
}

func TestKafkaFilesThatAreRefused(t *testing.T) {
	b := newBroker(t)
	own := filepath.Join(t.TempDir(), "chat.db")
	file := openFile(t, own, history.Limits{})
	say(t, file, "lobby", "1")
	equal(t, "close", nil, file.Close())
	_, err := history.OpenKafka(t.Context(), b.topic(), own, history.Limits{})
	if err == nil || !strings.Contains(err.Error(), "the file has messages of its own: choose another") {
		t.Errorf("a history as a view: %v", err)
	}
	path := filepath.Join(t.TempDir(), "view.db")
	equal(t, "close", nil, openKafka(t, b.topic(), path, history.Limits{}).Close())
	if _, err = history.OpenFile(path, history.Limits{}); err == nil || !strings.Contains(err.Error(), "view of Kafka") {
		t.Errorf("a view as a history: %v", err)
	}
}

// TestKafkaForeignRecords are what somebody else has written to the topic.
func TestKafkaForeignRecords(t *testing.T) {
	topic := newTopic(t)
	s := joinKafka(t, topic, history.Limits{})
	said := say(t, s, "lobby", "1")
	for _, value := range []string{
		"", "hello", "{}", `{"do":"say","seq":2}`, `{"do":"say","seq":2,"messages":[{}]}`, `{"do":"dance","seq":2}`,
		`{"do":"say","seq":18446744073709551615,"messages":[{"id":"1","savedId":"2","from":"ada"}]}`,
		`{"do":"read","seq":1}`, `{"do":"read","seq":9,"user":"ada"}`,
	} {
		produce(t, topic, "lobby", value)
	}
	produce(t, topic, "no room!", `{"do":"say","seq":1,"messages":[{"id":"1","savedId":"2","from":"ada"}]}`)
	said = append(said, say(t, s, "lobby", "2")...)
	equal(t, "what is kept", said, after(t, s, "lobby", 0, 10))
}
