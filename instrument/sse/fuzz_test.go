package sse_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/sse"
)

// FuzzSend sends an event of any content between two others, and holds what a peer makes of the bytes against what went
// in: an event arrives as it is or is refused, and never changes its neighbours.
func FuzzSend(f *testing.F) {
	f.Add("1", "price", []byte("1.5"), int64(2000), "")
	f.Add("", "", []byte("a\r\n\rb\n"), int64(0), "heartbeat")
	f.Add("\n", "a\rb", []byte("data: x\n\nevent: y"), int64(-1), "a\n\ndata: b")
	f.Add("\x00", "\xff", []byte{0xEF, 0xBB, 0xBF}, int64(1)<<40, "\r")
	f.Fuzz(func(t *testing.T, id, eventType string, data []byte, retryMicros int64, comment string) {
		w := httptest.NewRecorder()
		stream, err := sse.Accept(w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		retry := time.Duration(retryMicros%(1<<40)) * time.Microsecond
		send := func(e sse.Event) {
			if err := stream.Send(e); err != nil {
				t.Fatalf("send %+v: %v", e, err)
			}
		}
		want := []received{{Type: "first", Data: "x", LastEventID: "0"}}
		send(sse.Event{ID: "0", Type: "first", Data: []byte("x")})
		if err := stream.Comment(comment); err != nil {
			t.Fatalf("comment: %v", err)
		}
		state := want[0]
		if err := stream.Send(sse.Event{ID: id, Type: eventType, Data: data, Retry: retry}); err == nil {
			if id != "" {
				state.LastEventID = id
			}
			if retry > 0 {
				state.Retry = int((retry + time.Millisecond - 1) / time.Millisecond)
			}
			if eventType != "" || len(data) > 0 {
				state.Type, state.Data = eventType, lineFeeds(string(data))
				if eventType == "" {
					state.Type = "message"
				}
				want = append(want, state)
			}
		} else if sendable(id, eventType, data, retry) {
			t.Fatalf("send: %v", err)
		}
		send(sse.Event{Type: "last", Data: []byte("y")})
		state.Type, state.Data = "last", "y"
		want = append(want, state)
		if diff := cmp.Diff(want, parse(w.Body.Bytes())); diff != "" {
			t.Errorf("received, -want +got:\n%s\nbytes: %q", diff, w.Body)
		}
	})
}

// sendable says whether an event can be sent, in other words than the implementation does.
func sendable(id, eventType string, data []byte, retry time.Duration) bool {
	return retry >= 0 && len(id) <= 256 && !strings.ContainsAny(id+eventType, "\n\r") && !strings.Contains(id, "\x00") &&
		utf8.ValidString(id) && utf8.ValidString(eventType) && utf8.Valid(data) &&
		(id != "" || eventType != "" || len(data) > 0 || retry > 0)
}

// lineFeeds is what becomes of line ends on the way.
func lineFeeds(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// FuzzLastEventID gives any header, and wants nothing from it that Send could not have sent, and everything that it
// could.
func FuzzLastEventID(f *testing.F) {
	for _, seed := range []string{"", "42", "a\nb", "\x00", "\xff", "ä", strings.Repeat("x", 257)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set("Last-Event-ID", header)
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = stream.Send(sse.Event{ID: header, Type: "x"})
		if header != "" && (err == nil) != (stream.LastEventID() == header) {
			t.Fatalf("LastEventID is %q for %q, sending it: %v", stream.LastEventID(), header, err)
		}
		if stream.LastEventID() == "" {
			return
		}
		want := []received{{Type: "x", LastEventID: header}}
		if diff := cmp.Diff(want, parse(w.Body.Bytes())); diff != "" {
			t.Errorf("received, -want +got:\n%s", diff)
		}
	})
}

// FuzzAccept wants an Accept header that names text/event-stream without weight to be accepted, whatever else it says
// about other types, and nothing to do harm.
func FuzzAccept(f *testing.F) {
	f.Add("application/json;q=0.5")
	f.Add("*/*;q=0, text/*;q=0")
	f.Add(`a/b;c=",";q=1,;;=,`)
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = []string{"text/event-stream", accept}
		if _, err := sse.Accept(httptest.NewRecorder(), r, nil); err != nil {
			t.Errorf("Accept %q: %v", r.Header["Accept"], err)
		}
	})
}
