package history

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Topic is where in Kafka messages are kept.
type Topic struct {
	// Brokers are some of the cluster's, as in 127.0.0.1:9092.
	Brokers []string
	// Name is the topic's. It is made if there is none, with one partition, the replication that is the brokers'
	// default, and somewhat more than the Retention of the Limits. All instances of a service need the same, and nobody
	// else may write to it.
	Name string
	// Options are further ones of the client, such as kgo.DialTLSConfig, kgo.SASL and kgo.WithLogger.
	Options []kgo.Opt
}

// keptLonger is by how much a topic keeps records longer than rooms: what is uncertain at its beginning is of rooms
// that are over.
const keptLonger = time.Hour

// newClient returns a client that has not connected to anything yet.
func (k *Kafka) newClient(t Topic) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(t.Brokers...),
		kgo.ClientID("sockscope-history"),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// A record that is given up may still be there. Entries that come twice harm nobody.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordDeliveryTimeout(proposalTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), // they have offsets, too
		kgo.WithHooks(connects{k}),
	}, t.Options...)...)
}

// connects notes why no broker can be reached.
type connects struct{ k *Kafka }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (c connects) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if !errors.Is(err, context.Canceled) {
		c.k.trouble.Store(&err)
	}
}

// describe makes the topic if there is none, and checks that it keeps what it has to. It returns its id.
func (t Topic) describe(ctx context.Context, client *kgo.Client, limits Limits) (id [16]byte, err error) {
	admin := kadm.NewClient(client)
	if err := t.create(ctx, admin, limits); err != nil {
		return id, err
	}
	topics, err := admin.ListTopics(ctx, t.Name)
	if err != nil {
		return id, fmt.Errorf("ask for topic %s: %w", t.Name, err)
	}
	detail := topics[t.Name]
	if detail.Err != nil {
		return id, fmt.Errorf("ask for topic %s: %w", t.Name, detail.Err)
	}
	if n := len(detail.Partitions); n != 1 {
		return id, fmt.Errorf("topic %s has %d partitions: it needs exactly one, as all messages have one order", t.Name, n)
	}
	return detail.ID, t.checkConfig(ctx, admin, limits)
}

func (t Topic) create(ctx context.Context, admin *kadm.Client, limits Limits) error {
	retention := strconv.FormatInt((limits.Retention + keptLonger).Milliseconds(), 10)
	forever, policy := "-1", "delete"
	_, err := admin.CreateTopic(ctx, 1, -1, map[string]*string{
		"cleanup.policy": &policy, "retention.ms": &retention, "retention.bytes": &forever,
	}, t.Name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make topic %s: %w", t.Name, err)
	}
	return nil
}

func (t Topic) checkConfig(ctx context.Context, admin *kadm.Client, limits Limits) error {
	configs, err := admin.DescribeTopicConfigs(ctx, t.Name)
	if err != nil {
		return fmt.Errorf("ask how topic %s is configured: %w", t.Name, err)
	}
	config, err := configs.On(t.Name, nil)
	if err == nil {
		err = config.Err
	}
	if err != nil {
		return fmt.Errorf("ask how topic %s is configured: %w", t.Name, err)
	}
	has := make(map[string]string, len(config.Configs))
	for _, c := range config.Configs {
		has[c.Key] = c.MaybeValue()
	}
	if strings.Contains(has["cleanup.policy"], "compact") {
		return fmt.Errorf("topic %s is compacted, which deletes messages: set its cleanup.policy to delete", t.Name)
	}
	least := (limits.Retention + keptLonger).Milliseconds()
	if ms, err := strconv.ParseInt(has["retention.ms"], 10, 64); err == nil && ms >= 0 && ms < least {
		return fmt.Errorf("topic %s keeps messages for %v only: set its retention.ms to %d or more", t.Name,
			time.Duration(ms)*time.Millisecond, least)
	}
	return nil
}

// The timestamps that stand for the ends of a topic in a request for offsets.
const (
	atStart = -2
	atEnd   = -1
)

// offset asks the broker for an end of the topic. Everything that was acknowledged before lies before atEnd.
func (t Topic) offset(ctx context.Context, client *kgo.Client, at int64) (int64, error) {
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp = at
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = t.Name
	topic.Partitions = append(topic.Partitions, partition)
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask for an offset: %w", err)
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return 0, errors.New("ask for an offset: the broker's answer is incomplete")
	}
	answer := response.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return 0, fmt.Errorf("ask for an offset: %w", err)
	}
	return answer.Offset, nil
}

// read has the view follow the topic until the store is closed.
func (k *Kafka) read() {
	defer close(k.ended)
	for {
		fetches := k.client.PollRecords(k.ctx, maxBatch)
		if k.ctx.Err() != nil {
			return
		}
		if records := fetches.Records(); len(records) > 0 && !k.take(records) {
			return
		}
		if err := fetches.Err(); err != nil {
			k.trouble.Store(&err)
			if lost := new(kgo.ErrDataLoss); errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &lost) {
				k.giveUp(err)
				return
			}
		}
	}
}

// take applies the records, trying again while the disk does not take them, and tells those who wait for them.
func (k *Kafka) take(records []*kgo.Record) bool {
	for {
		accepted, err := k.view.apply(k.ctx, records)
		if err == nil {
			k.advance(accepted)
			return true
		}
		err = fmt.Errorf("keep what Kafka has: %w", err)
		k.trouble.Store(&err)
		select {
		case <-time.After(viewPause):
		case <-k.ctx.Done():
			return false
		}
	}
}

func (k *Kafka) advance(accepted map[string]bool) {
	k.trouble.Store(new(error))
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, ok := range accepted {
		if decided, waits := k.proposals[id]; waits {
			decided <- ok
			delete(k.proposals, id)
		}
	}
	k.next = k.view.next
	close(k.moved)
	k.moved = make(chan struct{})
}

// giveUp ends a store whose topic has not what the view has.
func (k *Kafka) giveUp(err error) {
	err = errors.Join(fmt.Errorf("the topic has lost messages, or was made anew: restart this instance: %w", err),
		k.view.spoil(k.ctx))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = err
	close(k.moved)
	k.moved = make(chan struct{})
}

// catchUp waits until the view has what was acknowledged before it was called, by any instance.
func (k *Kafka) catchUp(ctx context.Context) error {
	end, err := k.topic.offset(ctx, k.client, atEnd)
	if err != nil {
		return err
	}
	for {
		k.mu.Lock()
		next, moved, broken := k.next, k.moved, k.broken
		k.mu.Unlock()
		switch {
		case broken != nil:
			return broken
		case next >= end:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%d records are still to be read: %w", end-next, context.Cause(ctx))
		}
	}
}
