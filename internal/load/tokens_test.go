package load

import (
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/demotest"
)

func TestTokensOfTheServer(t *testing.T) {
	s := start(t, demo.Config{})
	cfg, err := Config{URLs: []string{"ws://127.0.0.1:1/ws", s.url}, Scenario: chat(1, 1, 1, time.Second)}.complete() // the first is down
	if err != nil {
		t.Fatal(err)
	}
	tokens := newTokens(cfg)
	defer tokens.client.CloseIdleConnections()
	get := func(connection int) string {
		t.Helper()
		token, err := tokens.get(t.Context(), connection)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := get(1)
	if get(1) != first || get(1+users) != first {
		t.Error("the server is asked again for the same user")
	}
	if get(2) == first {
		t.Error("two users have the same token")
	}
	tokens.forget(1)
	second := get(1)
	if second == first {
		t.Error("a token that was forgotten is used again")
	}
	tokens.known["load-1"].since = time.Now().Add(-fresh)
	if get(1) == second {
		t.Error("a token is used for too long")
	}
}

func TestTokensRefused(t *testing.T) {
	s := start(t, demo.Config{DevTokens: demo.Off})
	cfg := Config{URLs: []string{s.url}, Scenario: chat(1, 1, 1, time.Second)}
	_, err := Run(t.Context(), cfg, time.Hour, func(Progress) {})
	if err == nil || !strings.Contains(err.Error(), "--auth-key-file") {
		t.Errorf("a server that issues none: %v", err)
	}
}

func TestTokensOfAnAuthority(t *testing.T) {
	authority, err := auth.New([]byte(demotest.Key))
	if err != nil {
		t.Fatal(err)
	}
	authorization, err := newTokens(Config{Authority: authority}).authorization(t.Context(), 12345)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := authority.Verify(strings.TrimPrefix(authorization, "Bearer ")); err != nil || who.User != "load-12345" {
		t.Errorf("%+v, %v, want one of load-12345", who, err)
	}
}

// TestTokenExpires has tokens end while connections are open: they are renewed in time, and nothing is lost.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	authority, err := auth.New([]byte(demotest.Key))
	if err != nil {
		t.Fatal(err)
	}
	authority.MaxLifetime = 4 * time.Second // which is within the time of the warning
	r := runLoad(t.Context(), t, Config{
		URLs: []string{s.url}, Authority: authority, Scenario: chat(2, 1, 20, 6*time.Second), Verify: true,
	})
	if err := r.Err(); err != nil || r.Connected != 2 {
		t.Errorf("%v after %d connections: %v", err, r.Connected, r.Reasons)
	}
}
