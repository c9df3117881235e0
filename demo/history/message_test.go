package history

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode looks for records that crash, and for such that change when they are saved again.
func FuzzDecode(f *testing.F) {
	_, record, err := prepare(Message{Room: "lobby", ID: "1", From: "ada", Text: "hello", Traceparent: "00-1-2-01"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add([]byte(`{"id":"1","savedId":"2","from":"ada","time":"2026-01-02T15:04:05.000000001+01:00"}`))
	f.Add([]byte(`{"id":{}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, record []byte) {
		m, err := decode("lobby", 7, record)
		if err != nil {
			return
		}
		if m.Room != "lobby" || m.Seq != 7 {
			t.Fatalf("message %d of %s", m.Seq, m.Room)
		}
		again, record, err := prepare(m)
		if err != nil { // another program may have written what is not valid here
			return
		}
		decoded, err := decode("lobby", 0, record)
		if diff := cmp.Diff(again, decoded); err != nil || diff != "" {
			t.Fatalf("the message changed (-saved +read), %v:\n%s", err, diff)
		}
	})
}
