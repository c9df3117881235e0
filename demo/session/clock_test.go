package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// recorder is a link to nobody that notes what happens to it, and when.
type recorder struct{ notes chan string }

func (r recorder) note(what string) {
	r.notes <- time.Now().UTC().Format("15:04:05 ") + what
}

func (r recorder) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	r.note(string(f.Type))
	return instrument.MessageType{}, len(f.Data), nil
}
func (r recorder) Ping() {}
func (r recorder) Close(reason instrument.CloseReason, _ string) {
	if reason == instrument.ReasonTokenExpired {
		r.note("closed")
	}
}
func (r recorder) Cut() {}

// TestClockOfTokens lives through an hour and a half of tokens by a clock that does not wait: a client is warned a
// minute before its token ends, each time, and of a short one when half of it has passed.
func TestClockOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, newLedger(), nil, Config{})
		midnight := time.Now()
		who, err := s.authority.Verify(s.token(t, "Ada", time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		link := recorder{make(chan string, 100)}
		c := s.sessions.Open(s.observer, nil, link)
		c.Begin(who)
		time.Sleep(59*time.Minute + 30*time.Second)
		f, err := wire.NewFrame(wire.TypeAuth, "", wire.AuthPayload{Token: s.token(t, "Ada", 30*time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		c.Receive(context.Background(), f.Data, wire.Decode)
		time.Sleep(29*time.Minute + 15*time.Second)
		if f, err = wire.NewFrame(wire.TypeAuth, "", wire.AuthPayload{Token: s.token(t, "Ada", 50*time.Second)}); err != nil {
			t.Fatal(err)
		}
		c.Receive(context.Background(), f.Data, wire.Decode)
		time.Sleep(time.Hour)
		c.End(context.Background())
		close(link.notes)
		var got []string
		for note := range link.notes {
			got = append(got, note)
		}
		at := func(after time.Duration, what string) string {
			return midnight.Add(after).UTC().Format("15:04:05 ") + what
		}
		want := []string{
			at(0, "welcome"),
			at(59*time.Minute, "token_expiring"),
			at(59*time.Minute+30*time.Second, "ack"),
			at(88*time.Minute+30*time.Second, "token_expiring"),
			at(88*time.Minute+45*time.Second, "ack"),
			at(89*time.Minute+10*time.Second, "token_expiring"),
			at(89*time.Minute+35*time.Second, "closed"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	})
}

// TestRenewalTooLate has a token end and a newer one come before the clock has noticed: the connection has ended all
// the same.
func TestRenewalTooLate(t *testing.T) {
	t.Parallel()
	s := newService(t, newLedger(), nil, Config{})
	who, err := s.authority.Verify(s.token(t, "Ada", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	link := recorder{make(chan string, 100)}
	c := s.sessions.Open(s.observer, nil, link)
	c.Begin(who)
	defer c.End(context.Background())
	c.mu.Lock()
	c.clock.expired = time.Now() // without waking the clock
	c.mu.Unlock()
	env, err := wire.New(wire.TypeAuth, "", wire.AuthPayload{Token: s.token(t, "Ada", time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var refused *wire.RefusalError
	if err := c.do(t.Context(), &env); !errors.As(err, &refused) || refused.Code != wire.CodeUnauthorized {
		t.Errorf("renewal after the end: %v, want %s", err, wire.CodeUnauthorized)
	}
}
