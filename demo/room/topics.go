package room

import (
	"sync"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// StreamTopic returns the topic of a stream of the server's own. No user's is the same.
func StreamTopic(stream string) string { return "stream " + stream }

// UserTopic returns the topic of what is said to a user.
func UserTopic(user string) string { return "user " + user }

// Topics holds who on this node gets what is published under a name. The zero value is ready to use.
type Topics struct {
	mu     sync.Mutex
	topics map[string]*members
}

// Subscribe has m get what is published. Being subscribed already is no error.
func (t *Topics) Subscribe(name string, m Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	topic := t.topics[name]
	if topic == nil {
		if t.topics == nil {
			t.topics = make(map[string]*members)
		}
		topic = new(members)
		t.topics[name] = topic
	}
	topic.add(m)
}

// Unsubscribe ends that.
func (t *Topics) Unsubscribe(name string, m Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	topic := t.topics[name]
	if topic == nil {
		return
	}
	topic.remove(m)
	if len(topic.in) == 0 { // nobody else has it: it is found only under the lock
		delete(t.topics, name)
	}
}

// Publish hands the frame to all subscribers.
func (t *Topics) Publish(name string, f *wire.Frame, b *instrument.Broadcast) {
	t.mu.Lock()
	topic := t.topics[name]
	t.mu.Unlock()
	if topic != nil {
		topic.deliver(f, b, nil)
	}
}
