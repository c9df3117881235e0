package poll

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestParse(t *testing.T) {
	t.Parallel()
	seq := func(n uint64) *uint64 { return &n }
	for raw, want := range map[string]query{
		"room=lobby":                               {room: "lobby"},
		"room=lobby&wait=0s":                       {room: "lobby"},
		"room=lobby&after=0":                       {room: "lobby", after: seq(0)},
		"wait=30s&after=17&room=lobby":             {room: "lobby", after: seq(17), wait: 30 * time.Second},
		"room=lobby&after=1&wait=1m":               {room: "lobby", after: seq(1), wait: time.Minute},
		"room=lobby&after=18446744073709551615":    {room: "lobby", after: seq(1<<64 - 1)},
		"room=caf%C3%A9&after=1&wait=1500000000ns": {room: "café", after: seq(1), wait: 1500 * time.Millisecond},
	} {
		got, err := parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(query{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
	for raw, want := range map[string]string{
		"":                                      "room is missing",
		"room=a%20b":                            "room may hold",
		"room=%zz":                              "malformed query",
		"room=lobby&room=cellar":                "give it once",
		"room=lobby&limit=5":                    "unknown parameter",
		"room=lobby&after=":                     "give a sequence number",
		"room=lobby&after=-1":                   "give a sequence number",
		"room=lobby&after=18446744073709551616": "give a sequence number",
		"room=lobby&after=1&wait=30":            "give a duration",
		"room=lobby&after=1&wait=-1s":           "give a duration",
		"room=lobby&after=1&wait=61s":           "give a duration",
		"room=lobby&wait=30s":                   "wait needs after",
	} {
		if _, err := parse(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

// FuzzParse reads any query: what is accepted is within its bounds, and asks for the same when it is written again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "room=lobby&after=17&wait=30s", "room=a&room=b", "wait=1h&after=0&room=x", "room=%zz", "after=-1;wait=1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parse(raw)
		if err != nil {
			return
		}
		if wire.CheckRoom(q.room) != nil || q.wait < 0 || q.wait > mostWait || q.wait > 0 && q.after == nil {
			t.Fatalf("%q is accepted as %+v", raw, q)
		}
		values := url.Values{"room": {q.room}, "wait": {q.wait.String()}}
		if q.after != nil {
			values.Set("after", strconv.FormatUint(*q.after, 10))
		}
		again, err := parse(values.Encode())
		if diff := cmp.Diff(q, again, cmp.AllowUnexported(query{})); diff != "" || err != nil {
			t.Errorf("%q, written again (%v):\n%s", raw, err, diff)
		}
	})
}
