package demo

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// signed makes a token of claims that no Authority would issue, with the key of complete's.
func signed(t *testing.T, c jwt.RegisteredClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte("a key for tests that is long enough"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestWaysOfTokens brings tokens along in every way that there is.
func TestWaysOfTokens(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	for name, tc := range map[string]struct {
		opts     websocket.DialOptions
		selected string
	}{
		"header": {websocket.DialOptions{HTTPHeader: bearer(f.token("Ada"))}, ""},
		"header and subprotocol": {websocket.DialOptions{
			HTTPHeader: bearer(f.token("Ada")), Subprotocols: []string{wire.SubprotocolJSON},
		}, wire.SubprotocolJSON},
		"subprotocol": {websocket.DialOptions{
			Subprotocols: []string{"bearer." + f.token("Ada"), wire.SubprotocolJSON},
		}, wire.SubprotocolJSON},
		"subprotocol alone": {websocket.DialOptions{Subprotocols: []string{"bearer." + f.token("Ada")}}, ""},
	} {
		c := f.mustConnect(&tc.opts)
		if _, p := expect[wire.WelcomePayload](c, wire.TypeWelcome); p.User != "Ada" || p.Session == "" || p.Node == "" {
			t.Errorf("%s: welcome %+v", name, p)
		}
		if got := c.conn.Subprotocol(); got != tc.selected {
			t.Errorf("%s: the server selects %q, want %q", name, got, tc.selected)
		}
	}

	// By the first message, before which nothing else but a ping is answered.
	c := f.mustConnect(nil)
	if got := c.heard(); len(got) != 0 {
		t.Errorf("before there is a token the server says %v", typesOf(got))
	}
	c.send(wire.TypeJoin, wire.JoinPayload{Room: "lobby"})
	if _, p := expect[wire.ErrorPayload](c, wire.TypeError); p.Code != wire.CodeUnauthorized {
		t.Errorf("a join without a token: %+v", p)
	}
	if ack := c.request(wire.TypeAuth, wire.AuthPayload{Token: "made.up.token"}); ack.Error != wire.CodeUnauthorized {
		t.Errorf("a token that is made up: %+v", ack)
	}
	id := c.send(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")})
	expect[wire.WelcomePayload](c, wire.TypeWelcome)
	if env, ack := expect[wire.AckPayload](c, wire.TypeAck); !ack.Success || env.MessageID != id {
		t.Errorf("auth: %+v", ack)
	}
	c.join("lobby")
	f.awaitMetrics(map[string]float64{"errors_total auth": 2, "connections_total connected": 5},
		"websocket_errors_total", "websocket_connections_total")
}

func TestNoTokenInTime(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Handshake: 100 * time.Millisecond}})
	ada := f.dial("Ada")
	c := f.mustConnect(nil)
	if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("ended by %v, want 1008", err)
	}
	ada.heard() // who has brought one stays
	f.awaitMetrics(map[string]float64{"disconnections_total local policy": 1, "active_connections": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
}

// TestTokensRefused are those that a handshake is answered 401 for, on either transport.
func TestTokensRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	stranger, err := auth.New([]byte("the key of somebody else, also long enough"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Issue("Ada", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(audience string, lifetime time.Duration) jwt.RegisteredClaims {
		return jwt.RegisteredClaims{
			Subject: "Ada", Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(lifetime)),
		}
	}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(auth.Audience, time.Hour)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	n := 0.0
	for name, tc := range map[string]struct {
		header http.Header
		query  string
	}{
		"expired":          {bearer(signed(t, claims(auth.Audience, -time.Second))), ""},
		"too long":         {bearer(signed(t, claims(auth.Audience, 1000*time.Hour))), ""},
		"other audience":   {bearer(signed(t, claims("somebody else", time.Hour))), ""},
		"unknown key":      {bearer(foreign), ""},
		"no signature":     {bearer(none), ""},
		"no token at all":  {bearer("x"), ""},
		"other scheme":     {http.Header{"Authorization": {"Basic QWRhOg=="}}, ""},
		"two tokens":       {http.Header{"Authorization": {"Bearer " + f.token("Ada")}, "Sec-Websocket-Protocol": {"bearer." + f.token("Ada")}}, ""},
		"in the URL":       {nil, "token=" + f.token("Ada")},
		"hidden in an URL": {bearer(f.token("Ada")), "x=" + f.token("Ada")},
	} {
		c, resp, err := func() (*client, *http.Response, error) {
			conn, resp, err := websocket.Dial(t.Context(), f.http.URL+"/ws?"+tc.query, &websocket.DialOptions{HTTPHeader: tc.header})
			return &client{t: t, conn: conn}, resp, err
		}()
		if err == nil {
			_ = c.conn.CloseNow()
		}
		if err == nil || resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: WebSocket: %v (%v), want 401", name, resp, err)
		}
		query, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.getEvents("", query, tc.header); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: server-sent events: %s, want 401", name, got.Status)
		}
		n++
	}
	if got := f.getEvents("", nil, nil); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("events without a token: %s, want 401", got.Status)
	}
	f.awaitMetrics(map[string]float64{"connections_total unauthorized": n, "sse_connections_total unauthorized": n + 1},
		"websocket_connections_total", "sse_connections_total")
	if strings.Contains(f.logs.String(), foreign) {
		t.Error("the log has a token")
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	origins, err := auth.ParseOrigins([]string{"https://app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, Config{Origins: origins})
	for origin, want := range map[string]int{
		f.http.URL:                http.StatusSwitchingProtocols,
		"https://app.example.com": http.StatusSwitchingProtocols,
		"http://app.example.com":  http.StatusForbidden,
		"https://example.com":     http.StatusForbidden,
		"null":                    http.StatusForbidden,
	} {
		header := bearer(f.token("Ada"))
		header.Set("Origin", origin)
		_, resp, err := f.connect(&websocket.DialOptions{HTTPHeader: header})
		if resp == nil || resp.StatusCode != want {
			t.Errorf("from %s: %v (%v), want %d", origin, resp, err, want)
		}
		if want == http.StatusForbidden {
			if got := f.getEvents("Ada", nil, http.Header{"Origin": {origin}}); got.StatusCode != want {
				t.Errorf("events from %s: %s, want %d", origin, got.Status, want)
			}
		}
	}
	f.awaitMetrics(map[string]float64{
		"connections_total connected": 2, "connections_total forbidden": 3, "sse_connections_total forbidden": 3,
	}, "websocket_connections_total", "sse_connections_total")
}

func TestRoomsOfATokenAreAllThereAre(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	for name, tc := range map[string]struct {
		rooms       []string
		open, close []string
	}{
		"any":      {nil, []string{"lobby"}, []string{"private.ada"}},
		"named":    {[]string{"lobby", "private.ada"}, []string{"lobby", "private.ada"}, []string{"cellar", "private.ben"}},
		"patterns": {[]string{"team-*"}, []string{"team-1"}, []string{"lobby", "private.team-1"}},
	} {
		token, err := f.tokens.Issue("Ada", tc.rooms, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		c := f.mustConnect(&websocket.DialOptions{HTTPHeader: bearer(token)})
		expect[wire.WelcomePayload](c, wire.TypeWelcome)
		for _, room := range tc.open {
			c.join(room)
		}
		for _, room := range tc.close {
			if ack := c.request(wire.TypeJoin, wire.JoinPayload{Room: room}); ack.Error != wire.CodeForbidden {
				t.Errorf("%s: %s: %+v, want %s", name, room, ack, wire.CodeForbidden)
			}
			if ack := c.request(wire.TypeMessage, wire.MessagePayload{Room: room, Text: "x"}); ack.Error != wire.CodeNotInRoom {
				t.Errorf("%s: message to %s: %+v, want %s", name, room, ack, wire.CodeNotInRoom)
			}
		}
	}
}

// TestRenewalWithFewerRooms takes a user out of the room that a newer token doesn't open, and leaves the other.
func TestRenewalWithFewerRooms(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada, ben := f.dial("Ada"), f.dial("Ben")
	for _, room := range []string{"lobby", "cellar"} {
		ada.join(room)
	}
	ben.join("cellar")
	ada.heard()
	fewer, err := f.tokens.Issue("Ada", []string{"lobby"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id := ada.send(wire.TypeAuth, wire.AuthPayload{Token: fewer})
	left := wire.PresencePayload{Room: "cellar", User: "Ada"}
	if _, p := expect[wire.PresencePayload](ada, wire.TypeLeft); p != left {
		t.Errorf("Ada is told %+v, want %+v", p, left)
	}
	if env, ack := expect[wire.AckPayload](ada, wire.TypeAck); !ack.Success || env.MessageID != id {
		t.Errorf("renewal: %+v", ack)
	}
	if _, p := expect[wire.PresencePayload](ben, wire.TypeLeft); p != left {
		t.Errorf("Ben is told %+v, want %+v", p, left)
	}
	ben.send(wire.TypeMessage, wire.MessagePayload{Room: "cellar", Text: "are you there"})
	await[wire.MessagePayload](ben, wire.TypeMessage)
	if ack := ada.request(wire.TypeMessage, wire.MessagePayload{Room: "cellar", Text: "still"}); ack.Error != wire.CodeNotInRoom {
		t.Errorf("message to the room: %+v, want %s", ack, wire.CodeNotInRoom)
	}
	if got := ada.heard(); len(got) != 0 {
		t.Errorf("Ada still hears %v", typesOf(got))
	}
	if ack := ada.request(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "here"}); !ack.Success {
		t.Errorf("message to the other room: %+v", ack)
	}
}

// TestExpiry has tokens end while their connections are open: one is renewed, the other connection is closed.
func TestExpiry(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	short := func() *websocket.DialOptions {
		token, err := f.tokens.Issue("Ada", nil, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return &websocket.DialOptions{HTTPHeader: bearer(token)}
	}
	renews, lets := f.mustConnect(short()), f.mustConnect(short())
	var expires time.Time
	for _, c := range []*client{renews, lets} {
		_, welcome := expect[wire.WelcomePayload](c, wire.TypeWelcome)
		_, p := expect[wire.TokenExpiringPayload](c, wire.TypeTokenExpiring)
		if !p.Expires.Equal(welcome.Expires) {
			t.Errorf("told that it expires at %v, welcome said %v", p.Expires, welcome.Expires)
		}
		expires = welcome.Expires
	}
	if ack := renews.request(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ben")}); ack.Error != wire.CodeUnauthorized {
		t.Errorf("another user's token: %+v, want %s", ack, wire.CodeUnauthorized)
	}
	if ack := renews.request(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")}); !ack.Success {
		t.Errorf("renewal: %+v", ack)
	}
	err := lets.ended()
	if websocket.CloseStatus(err) != 4401 {
		t.Errorf("ended by %v, want 4401", err)
	}
	if now := time.Now(); now.Before(expires) {
		t.Errorf("ended %v before its token", expires.Sub(now))
	}
	if got := renews.heard(); len(got) != 0 {
		t.Errorf("who has renewed is told %v", typesOf(got))
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local token_expired": 1, "active_connections": 1, "errors_total auth": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
}
