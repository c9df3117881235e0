package sse

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everybody lets everybody in, as Ada.
type everybody struct{}

func (everybody) Enter(context.Context, *http.Request) (func(), auth.Identity, *admission.Refusal) {
	return func() {}, auth.Identity{User: "Ada", Expires: time.Now().Add(time.Hour)}, nil
}

func (everybody) Check(context.Context, *http.Request) (auth.Identity, *admission.Refusal) {
	return auth.Identity{User: "Ada"}, nil
}

// lasting opens sessions whose links close only when told, and say when they are to.
type lasting struct {
	session.Opener
	closing, close chan struct{}
}

func (o lasting) Open(obs *observe.Observer, conn *instrument.Conn, l session.Link) *session.Session {
	return o.Opener.Open(obs, conn, lastingLink{l, o})
}

type lastingLink struct {
	session.Link
	opener lasting
}

func (l lastingLink) Close(reason instrument.CloseReason, text string) {
	close(l.opener.closing)
	<-l.opener.close
	l.Link.Close(reason, text)
}

// TestPostsTooLate posts for a stream that handles nothing any more, as one that is being drained or has sent too much.
func TestPostsTooLate(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	observer, err := observe.New(observe.Config{Logger: logger, ConnectionLimit: 10}, instrument.WithProtocol("sse"))
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.New(session.Config{
		Logger: logger, Heartbeat: time.Hour, LoginTimeout: time.Hour, MessagesPerSecond: 50, MessageBurst: 50,
	})
	opener := lasting{sessions, make(chan struct{}), make(chan struct{})}
	h := New(Config{Gate: everybody{}, Sessions: opener, Observer: observer, WriteTimeout: patience})
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	for events.Scan() && !strings.HasPrefix(events.Text(), "event: welcome") {
	}
	id := sessions.All()[0].Observed().ID()

	ping, err := wire.NewFrame(wire.TypePing, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	post := func() *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(string(ping.Data)))
		r.Header.Set(SessionHeader, id)
		h.ServeHTTP(w, r)
		return w.Result()
	}
	if got := post(); got.StatusCode != http.StatusAccepted {
		t.Errorf("while the stream is open: %s, want 202", got.Status)
	}
	sessions.Drain()
	<-opener.closing
	if got := post(); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != admission.RetryAfter {
		t.Errorf("at its end: %s, to be tried again after %q, want 503 after %s",
			got.Status, got.Header.Get("Retry-After"), admission.RetryAfter)
	}
	close(opener.close)
	for events.Scan() { // until the stream ends
	}
	sessions.Wait()
}
