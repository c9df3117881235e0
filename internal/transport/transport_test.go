package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/upstream"
)

func payloadOf[P any](t *testing.T, env wire.Envelope) (p P) {
	t.Helper()
	if err := json.Unmarshal(env.Payload, &p); err != nil {
		t.Fatalf("%s: %v", env.Type, err)
	}
	return p
}

// each runs a test for each transport.
func each(t *testing.T, names []Name, test func(t *testing.T, over Name)) {
	for _, over := range names {
		t.Run(over.String(), func(t *testing.T) {
			t.Parallel()
			test(t, over)
		})
	}
}

// sending are the transports whose clients can send.
func sending() []Name { return []Name{WebSocket, SSE, GRPC, SocketIO} }

// TestMeet has a client of each transport in one room. All get the same from each of them, once and in order. One that
// comes back gets what it has missed.
func TestMeet(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	clients := map[Name]*client{}
	for _, over := range Names() {
		c := s.dial(over, over.String())
		welcome := payloadOf[wire.WelcomePayload](t, c.awaitType(wire.TypeWelcome))
		if welcome.User != over.String() && over.Sends() {
			t.Errorf("%s is welcomed as %q", over, welcome.User)
		}
		if ack := c.ask(wire.TypeJoin, wire.JoinPayload{Room: "lobby"}); !ack.Success || ack.Seq != 0 {
			t.Errorf("%s joins: %+v", over, ack)
		}
		clients[over] = c
	}
	var said []string
	for _, from := range sending() {
		ack := clients[from].say("I am " + from.String())
		said = append(said, fmt.Sprint(ack.Seq, " ", ack.SavedID, " ", from, ": I am ", from))
	}
	for over, c := range clients {
		for len(c.heard) < len(said) {
			c.awaitType(wire.TypeMessage)
		}
		if diff := cmp.Diff(said, c.heard); diff != "" {
			t.Errorf("%s has heard (-want +got):\n%s", over, diff)
		}
	}
	for over, c := range clients {
		c.Close()
		if err := c.ended(); err == nil {
			t.Errorf("%s goes on after its end", over)
		}
		again := s.dial(over, over.String())
		again.awaitType(wire.TypeWelcome)
		if got := again.missed(1, 4); !cmp.Equal(got, []uint64{2, 3, 4}) {
			t.Errorf("%s comes back after 1 and gets %v, want 2, 3, 4", over, got)
		}
	}
}

// say says something in the lobby.
func (c *client) say(text string) wire.AckPayload {
	c.t.Helper()
	ack := c.ask(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
	if !ack.Success {
		c.t.Errorf("%q was refused: %+v", text, ack)
	}
	return ack
}

// missed joins the lobby after a message, and returns the numbers that come up to the last one.
func (c *client) missed(after, last uint64) (got []uint64) {
	c.t.Helper()
	env, err := wire.New(wire.TypeJoin, "", wire.JoinPayload{Room: "lobby", After: &after})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Send(&env); err != nil {
		c.t.Fatal(err)
	}
	c.await(func(env wire.Envelope) bool {
		switch env.Type {
		case wire.TypeMessage:
			got = append(got, env.Seq)
		case wire.TypeHistory:
			for _, m := range payloadOf[wire.HistoryPayload](c.t, env).Messages {
				got = append(got, m.Seq)
			}
		}
		return len(got) > 0 && got[len(got)-1] >= last
	})
	return got
}

// TestMarket subscribes to the market.
func TestMarket(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{BatchWindow: 50 * time.Millisecond})
	each(t, sending(), func(t *testing.T, over Name) {
		c := dial(t, over, s.options("ann", time.Hour))
		c.awaitType(wire.TypeWelcome)
		if ack := c.ask(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamMarket}); !ack.Success {
			t.Fatalf("the subscription: %+v", ack)
		}
		batch := payloadOf[struct {
			FirstSeq, LastSeq uint64
			Ticks             []struct {
				Symbol string
				Seq    uint64
				Time   time.Time
				Price  int64
			}
		}](t, c.awaitType(wire.TypeTicks))
		if len(batch.Ticks) == 0 || batch.Ticks[0].Seq != batch.FirstSeq || batch.Ticks[0].Price == 0 || batch.Ticks[0].Time.IsZero() {
			t.Errorf("the ticks are %+v", batch)
		}
	})
}

// TestRefused makes connections without a token that holds, at nobody's address, and at a server that is full.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{Limits: demo.Limits{Connections: 1, Polls: 1}})
	s.dial(WebSocket, "ann").awaitType(wire.TypeWelcome) // takes the place
	nobody := httptest.NewServer(nil)
	nobody.Close()
	each(t, Names(), func(t *testing.T, over Name) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for name, tc := range map[string]struct {
			options Options
			status  int // 0 for none
		}{
			"stranger": {Options{Server: s.server, Authorization: "Bearer x"}, http.StatusUnauthorized},
			"full":     {s.options("bob", time.Hour), http.StatusServiceUnavailable},
			"nobody":   {Options{Server: serverAt(t, nobody).WithGRPC(nobody.Listener.Addr().String())}, 0},
		} {
			if over == Poll && name == "full" {
				continue // polls take no place of connections
			}
			conn, err := new(Dialer).Dial(ctx, over, tc.options)
			if err == nil { // polls are refused one by one
				c := &client{Conn: conn, t: t}
				env, _ := wire.New(wire.TypeJoin, "", wire.JoinPayload{Room: "lobby"})
				err = errors.Join(c.Send(&env), c.ended())
			}
			var refused *RefusedError
			if errors.As(err, &refused) != (tc.status != 0) || refused != nil && (refused.Status != tc.status || refused.Reason == "") {
				t.Errorf("%s: %v, want %d", name, err, tc.status)
			}
		}
	})
}

// TestDialEnds has the opening of a connection end with its context, at a server that says nothing.
func TestDialEnds(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(stop)
	server := serverAt(t, silent).WithGRPC(silent.Listener.Addr().String())
	for _, over := range sending() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := new(Dialer).Dial(ctx, over, Options{Server: server}); err == nil {
			t.Errorf("%s is connected", over)
		}
		cancel()
	}
	if _, err := new(Dialer).Dial(t.Context(), GRPC, Options{Server: upstream.Server{}}); err == nil {
		t.Error("gRPC is connected without an address")
	}
}

// TestTokenEnds has a token end: who has a WebSocket or gRPC is told so, and the others need another one to come back.
// A newer token lets a connection go on.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	each(t, sending(), func(t *testing.T, over Name) {
		const short = 2 * time.Second
		c := dial(t, over, s.options("ann", short))
		c.awaitType(wire.TypeWelcome)
		err := c.ended()
		var end *EndError
		if !errors.As(err, &end) || end.Expired != (over != SSE) {
			t.Errorf("it has ended with %v, want an end that says whether the token has expired", err)
		}
		c = dial(t, over, s.options("ann", short))
		c.awaitType(wire.TypeWelcome)
		token, err := s.tokens.Issue("ann", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if ack := c.ask(wire.TypeAuth, wire.AuthPayload{Token: token}); !ack.Success {
			t.Fatalf("a newer token is refused: %+v", ack)
		}
		time.Sleep(short) // the older one is over
		if ack := c.ask(wire.TypeJoin, wire.JoinPayload{Room: "lobby"}); !ack.Success {
			t.Errorf("with a newer token: %+v", ack)
		}
	})
}

// TestCutOff has the server cut off its clients: each notices, and can't send any more.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	var all []*client
	for _, over := range sending() {
		c := s.dial(over, over.String())
		c.awaitType(wire.TypeWelcome)
		all = append(all, c)
	}
	s.turnOn("mass_disconnect")
	for i, c := range all {
		if err := c.ended(); err == nil {
			t.Errorf("%s goes on", sending()[i])
		}
	}
}

// TestVanish has clients vanish. The server finds out by pings, except of event streams, which it has nothing to write
// to.
func TestVanish(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{Heartbeat: time.Second})
	each(t, []Name{WebSocket, SSE, SocketIO}, func(t *testing.T, over Name) {
		c := dial(t, over, s.options("ann", time.Hour))
		c.awaitType(wire.TypeWelcome)
		c.Vanish()
		if err := c.ended(); err == nil {
			t.Error("it receives after it has vanished")
		}
		time.Sleep(3 * time.Second) // two heartbeats, and some time for the server
		if noticed := c.Noticed(); noticed != (over != SSE) {
			t.Errorf("the server has noticed: %v", noticed)
		}
	})
}

// TestReadsSlowly limits how quickly a client reads: what the server has to say takes the longer.
func TestReadsSlowly(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	o := s.options("ann", time.Hour)
	o.Rate = 2000
	each(t, sending(), func(t *testing.T, over Name) {
		c := dial(t, over, o)
		c.awaitType(wire.TypeWelcome)
		room := "slow-" + over.String()
		if ack := c.ask(wire.TypeJoin, wire.JoinPayload{Room: room}); !ack.Success {
			t.Fatalf("%+v", ack)
		}
		begin, size := time.Now(), 0
		for i := range 4 {
			text := make([]byte, 500)
			for j := range text {
				text[j] = 'a' + byte(i)
			}
			c.ask(wire.TypeMessage, wire.MessagePayload{Room: room, Text: string(text)})
			size += len(text)
		}
		if least := time.Duration(size) * time.Second / time.Duration(o.Rate) / 2; time.Since(begin) < least {
			t.Errorf("%d bytes were read in %v", size, time.Since(begin))
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		var again Name
		if text, err := name.MarshalText(); err != nil || again.UnmarshalText(text) != nil || again != name {
			t.Errorf("%s: %v, comes back as %s", name, err, again)
		}
	}
	var none Name
	if none.String() != "websocket" || none.UnmarshalText([]byte("carrier pigeon")) == nil {
		t.Error("what is no transport is taken for one, or the default is not a WebSocket")
	}
	if _, err := new(Dialer).Dial(t.Context(), "carrier pigeon", Options{}); err == nil {
		t.Error("a carrier pigeon is dialed")
	}
}

// TestPollsTooOften has a server that lets a client poll later, and then sends what was said.
func TestPollsTooOften(t *testing.T) {
	t.Parallel()
	polls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		polls++
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		switch {
		case polls == 1 || polls == 3:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case after == 7:
			w.WriteHeader(http.StatusGone)
		default:
			_, _ = w.Write([]byte(`{"payload":{"messages":[{"seq":` + strconv.Itoa(after+5) + `},{"seq":` + strconv.Itoa(after+7) + `}]}}`))
		}
	}))
	defer server.Close()
	c := dial(t, Poll, Options{Server: serverAt(t, server)})
	c.awaitType(wire.TypeWelcome)
	after := uint64(0)
	env, err := wire.New(wire.TypeJoin, "", wire.JoinPayload{Room: "lobby", After: &after})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(&env); err != nil {
		t.Fatal(err)
	}
	c.awaitType(wire.TypeAck)
	for _, want := range []uint64{5, 7} {
		if m := c.awaitType(wire.TypeMessage); m.Seq != want {
			t.Errorf("got %d, want %d", m.Seq, want)
		}
	}
	var refused *RefusedError
	if err := c.ended(); !errors.As(err, &refused) || refused.Status != http.StatusGone {
		t.Errorf("it has ended with %v, want 410", err)
	}
}
