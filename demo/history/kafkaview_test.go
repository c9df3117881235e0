package history

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newView(t testing.TB, start int64) *view {
	t.Helper()
	v, err := openView(filepath.Join(t.TempDir(), "view.db"), Limits{Reads: 2}, [16]byte{1}, start, start)
	if err != nil {
		t.Fatal(err)
	}
	v.db.NoSync = true // nothing here outlives the test
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func record(t testing.TB, offset int64, room string, e entry) *kgo.Record {
	t.Helper()
	value, err := e.encode()
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{Offset: offset, Key: []byte(room), Value: value, Timestamp: time.Unix(1e9+offset, 0)}
}

func saying1(id string) []json.RawMessage {
	return []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"id":%q,"savedId":"saved %[1]s","from":"ada"}`, id))}
}

// TestAccepted has entries come one after the other.
func TestAccepted(t *testing.T) {
	v := newView(t, 10)
	for i, tc := range []struct {
		room     string
		e        entry
		accepted bool
	}{
		{"lobby", entry{Do: doSay, Seen: 9, Seq: 1, Messages: saying1("a")}, false}, // by a view of before
		{"lobby", entry{Do: doSay, Seen: 10, Seq: 1, Messages: saying1("a")}, true},
		{"lobby", entry{Do: doSay, Seen: 11, Seq: 1, Messages: saying1("b")}, false}, // another was faster
		{"cellar", entry{Do: doSay, Seen: 10, Seq: 1, Messages: saying1("b")}, true},
		{"lobby", entry{Do: doSay, Seen: 12, Seq: 2, Messages: saying1("b")}, true},
		{"lobby", entry{Do: doSay, Seen: 12, Seq: 2, Messages: saying1("b")}, false}, // the same again
		{"lobby", entry{Do: doRead, Seq: 2, User: "ben"}, true},
		{"lobby", entry{Do: doRead, Seq: 3, User: "ben"}, false}, // ahead of the room
		{"attic", entry{Do: doRead, Seq: 1, User: "ben"}, false},
		{"lobby", entry{Do: doForget, Seq: 1}, false}, // something was said since
		{"lobby", entry{Do: doForget, Seq: 2}, true},
		{"lobby", entry{Do: doForget, Seq: 2}, false},
		{"lobby", entry{Do: doSay, Seen: 20, Seq: 3, Messages: saying1("c")}, false}, // its writer still saw the room
		{"lobby", entry{Do: doSay, Seen: 22, Seq: 1, Messages: saying1("c")}, true},
		{"cellar", entry{Do: doSay, Seen: 24, Since: 13, Seq: 1, Messages: saying1("c")}, false}, // its writer knew the room
		{"cellar", entry{Do: doSay, Seen: 24, Since: 14, Seq: 1, Messages: saying1("c")}, true},  // and this one did not
		{"attic", entry{Do: doSay, Seen: 24, Seq: 7, Messages: saying1("g")}, true},              // what is before is gone
	} {
		tc.e.ID = fmt.Sprint(i)
		accepted, err := v.apply(t.Context(), []*kgo.Record{record(t, int64(10+i), tc.room, tc.e)})
		if err != nil || accepted[tc.e.ID] != tc.accepted {
			t.Errorf("%d. %+v: accepted %t, %v", i, tc.e, accepted[tc.e.ID], err)
		}
	}
}

// A topic in a model has the records that its views have been given in part.
type topic struct {
	t       *testing.T
	random  *rand.Rand
	forgets bool // writers forget a room now and then
	views   []*view
	records []*kgo.Record
}

// read has the view read the next n records.
func (m *topic) read(v *view, n int) map[string]bool {
	m.t.Helper()
	accepted, err := v.apply(m.t.Context(), m.records[v.next:int(v.next)+n])
	if err != nil {
		m.t.Fatal(err)
	}
	return accepted
}

func (m *topic) unread(v *view) int { return len(m.records) - int(v.next) }

// write has the writer propose an entry. If it has not seen the room, it catches up first, as Kafka.claim does.
func (m *topic) write(writer *view, room string) entry {
	m.t.Helper()
	look := func() standing {
		standing, err := writer.look(m.t.Context(), room, nil)
		if err != nil {
			m.t.Fatal(err)
		}
		return standing
	}
	standing := look()
	if standing.last == 0 {
		m.read(writer, m.unread(writer))
		standing = look()
	}
	id := fmt.Sprint(len(m.records))
	e := entry{ID: id, Do: doSay, Since: writer.since, Seen: standing.seen, Seq: standing.last + 1, Messages: saying1(id)}
	if m.forgets && m.random.IntN(20) == 0 && standing.last > 0 {
		e = entry{ID: id, Do: doForget, Seq: standing.last}
	}
	m.records = append(m.records, record(m.t, int64(len(m.records)), room, e))
	return e
}

// TestViewsAgree lets writers that are behind propose entries, and views begin at any offset, as those do whose topic
// has lost its oldest records. When all have read everything, what one writes is accepted by all, with one number.
func TestViewsAgree(t *testing.T) {
	for seed := range uint64(5) {
		m := &topic{t: t, random: rand.New(rand.NewPCG(seed, 1)), forgets: true, views: []*view{newView(t, 0)}}
		for range 100 {
			m.write(m.views[m.random.IntN(len(m.views))], fmt.Sprint("room", m.random.IntN(3)))
			for _, v := range m.views {
				m.read(v, m.random.IntN(m.unread(v)+1))
			}
			if m.random.IntN(30) == 0 {
				m.views = append(m.views, newView(t, int64(len(m.records))))
			}
		}
		for _, v := range m.views {
			m.read(v, m.unread(v))
		}
		m.forgets = false
		for i := range 3 {
			for _, writer := range m.views {
				e := m.write(writer, fmt.Sprint("room", i))
				for _, v := range m.views {
					if !m.read(v, 1)[e.ID] {
						t.Errorf("seed %d: since %d refuses %+v, since %d", seed, v.since, e, writer.since)
					}
				}
			}
			m.compare(seed, fmt.Sprint("room", i))
		}
	}
}

// compare wants no gaps, and of each view what the writers have added in the end.
func (m *topic) compare(seed uint64, room string) {
	m.t.Helper()
	var want []Message
	for i, v := range m.views {
		all, err := v.Latest(m.t.Context(), room, 1000)
		if err != nil {
			m.t.Fatal(err)
		}
		for i := 1; i < len(all) && v.since == 0; i++ {
			if all[i].Seq != all[i-1].Seq+1 {
				m.t.Errorf("seed %d: %s has %d after %d", seed, room, all[i].Seq, all[i-1].Seq)
			}
		}
		if n := len(all); n > 0 {
			all = all[n-1:]
		}
		if i == 0 {
			want = all
		}
		if diff := cmp.Diff(want, all); diff != "" {
			m.t.Errorf("seed %d: since %d %s differs (-first +later):\n%s", seed, v.since, room, diff)
		}
	}
}

// FuzzReadEntry applies whatever a record may be.
func FuzzReadEntry(f *testing.F) {
	for _, e := range []entry{
		{ID: "1", Do: doSay, Seq: 1, Messages: saying1("a")}, {Do: doRead, Seq: 1, User: "ada"}, {Do: doForget, Seq: 1},
	} {
		value, err := e.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add("lobby", value)
	}
	f.Add("", []byte(`{"do":"say","seq":18446744073709551615,"messages":[{}]}`))
	v := newView(f, 0)
	f.Fuzz(func(t *testing.T, room string, value []byte) {
		_, err := v.apply(t.Context(), []*kgo.Record{{Offset: v.next, Key: []byte(room), Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		if checkRoom(room) != nil {
			return
		}
		messages, err := v.Latest(t.Context(), room, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(messages); i++ {
			if messages[i].Seq <= messages[i-1].Seq {
				t.Errorf("message %d after %d", messages[i].Seq, messages[i-1].Seq)
			}
		}
	})
}
