package backplane

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// envelopes is how envelopes of all versions begin.
const envelopes = "sockscope/"

// FuzzDecode receives anything. An accepted payload is the received one without the envelope, and within the limit.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "sockscope/1 0\n", "sockscope/1 1767366245123456\nhello", "sockscope/2 0\nhello", "sockscope/1 0",
		"sockscope/1 0 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=value\nhello", strings.Repeat("x", 65),
	} {
		f.Add(seed)
	}
	b := &Backplane{config: config{limit: 512}, echoes: newEchoes()}
	f.Fuzz(func(t *testing.T, received string) {
		m, err := b.decode(&redis.Message{Channel: "room", Payload: received})
		if err != nil {
			if len(received) <= 512 && !strings.HasPrefix(received, envelopes) {
				t.Errorf("%q is refused: %v", received, err)
			}
			return
		}
		if len(received) > 512 || !strings.HasSuffix(received, string(m.Payload)) || m.Own || m.Channel != "room" {
			t.Errorf("%q became %+v", received, m)
		}
		if enveloped := len(m.Payload) < len(received); enveloped != strings.HasPrefix(received, envelopes) {
			t.Errorf("%q became %q", received, m.Payload)
		}
	})
}

// TestEchoes expects more messages than can be expected.
func TestEchoes(t *testing.T) {
	e := newEchoes()
	message := func(i int) []byte { return []byte{byte(i), byte(i >> 8)} }
	for i := range maxEchoes + 10 {
		e.expect("room", message(i), false)
	}
	if e.take("other room", message(100)) {
		t.Error("a message on another channel is taken for the expected one")
	}
	for i := range maxEchoes + 10 {
		if got, want := e.take("room", message(i)), i >= 10; got != want {
			t.Fatalf("message %d of %d: taken %t, want %t", i, maxEchoes+10, got, want)
		}
	}
	if e.take("room", message(100)) {
		t.Error("a message is taken twice that was expected once")
	}
	e.expect("room", message(1), false)
	e.expect("room", message(1), false)
	for i, want := range []bool{true, true, false} {
		if got := e.take("room", message(1)); got != want {
			t.Errorf("number %d of two that are the same: taken %t, want %t", i+1, got, want)
		}
	}
	if len(e.expected) != 0 {
		t.Errorf("%d are left", len(e.expected))
	}
}

// TestFieldCase15NeedNotComeBack expects a message that has to come back, until it need not for some reason.
func TestFieldCase15NeedNotComeBack(t *testing.T) {
	for name, end := range map[string]func(e *echoes, watch uint64){
		"come back":                   func(e *echoes, _ uint64) { e.take("room", []byte("hello")) },
		"not taken by Redis":          func(e *echoes, watch uint64) { e.sent(watch, false) },
		"unsubscribed":                func(e *echoes, _ uint64) { e.left([]string{"other", "room"}) },
		"on another connection":       func(e *echoes, _ uint64) { e.begin() },
		"come back before the answer": func(e *echoes, watch uint64) { e.take("room", []byte("hello")); e.sent(watch, true) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEchoes()
			watch := e.expect("room", []byte("hello"), true)
			if other := e.expect("room", []byte("later"), true); watch == 0 || other != 0 {
				t.Errorf("watches %d and %d, want the first alone", watch, other)
			}
			_, watched := e.proof()
			if watched.number != watch || !watched.taken.IsZero() {
				t.Errorf("watched is %+v, want number %d, not taken", watched, watch)
			}
			end(e, watch)
			select {
			case <-watched.settled:
			default:
				t.Error("not settled")
			}
			proven, after := e.proof()
			if after.number != 0 {
				t.Errorf("%+v is watched", after)
			}
			if back := !proven.IsZero(); back != strings.HasPrefix(name, "come back") {
				t.Errorf("proven is %v", proven)
			}
			if again, _ := e.proof(); !again.IsZero() {
				t.Errorf("proven again: %v", again)
			}
		})
	}
}
