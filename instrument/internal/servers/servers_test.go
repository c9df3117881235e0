package servers_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/99designs/gqlgen/graphql/handler/testserver"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/centrifugal/centrifuge"
	coderws "github.com/coder/websocket"
	gobwasws "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorillaws "github.com/gorilla/websocket"
	"github.com/olahol/melody"
	netws "golang.org/x/net/websocket"
)

// The messages by which a peer asks an echo server for more than an echo.
const (
	askPing  = "ping"
	askClose = "close"
	askCut   = "cut"
	askPanic = "panic"
)

// busy is the close code by which the echo servers close.
const busy = 1013

// A server is one of those that are tried. The peer talks to it in its own language.
type server struct {
	handler     func(t *testing.T) http.Handler
	subprotocol string
	talk        []turn // each is a message that is answered
	pings       bool   // it sends a ping when asked, and then the answer
	pingsItself bool   // every pingPeriod
	closes      string // the message on which it closes
	code        int    // with which it closes then
	cuts        bool   // when asked
	panics      bool   // when asked, in its handler
}

// A turn is a message and the number of its answers.
type turn struct {
	say     string
	answers int
}

func echoes() []turn {
	return []turn{{"hello", 1}, {"", 1}, {string(bytes.Repeat([]byte("x"), 70_000)), 1}}
}

func servers() map[string]server {
	return map[string]server{
		"gorilla":      echo(gorilla),
		"coder":        echo(coder),
		"gobwas":       echo(gobwas),
		"x/net":        echo(xnet),
		"ReverseProxy": withoutPanic(echo(reverseProxy)),
		"melody": {
			handler: func(t *testing.T) http.Handler { return melodyServer() },
			talk:    echoes(), pingsItself: true, closes: askClose, code: busy, panics: true,
		},
		"gqlgen": {
			handler: gqlgen, subprotocol: "graphql-transport-ws",
			talk: []turn{
				{`{"type":"connection_init"}`, 1},
				{`{"id":"1","type":"subscribe","payload":{"query":"{ name }"}}`, 2},
			},
			closes: `{"type":"connection_terminate"}`, code: 1000,
		},
		"centrifuge": {
			handler: centrifugeServer,
			talk:    []turn{{`{"id":1,"connect":{}}`, 1}},
			closes:  `{"id":2,"connect":{}}`, code: 3501,
		},
	}
}

func echo(handler func(t *testing.T) http.Handler) server {
	return server{
		handler: handler, talk: echoes(), pings: true, closes: askClose, code: busy, cuts: true, panics: true,
	}
}

func withoutPanic(s server) server {
	s.panics = false
	return s
}

func gorilla(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up gorillaws.Upgrader
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			typ, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			switch string(p) {
			case askCut:
				return
			case askPanic:
				panic("boom")
			case askClose:
				_ = c.WriteMessage(gorillaws.CloseMessage, gorillaws.FormatCloseMessage(busy, ""))
				continue
			case askPing:
				_ = c.WriteMessage(gorillaws.PingMessage, []byte("here?"))
			}
			if err := c.WriteMessage(typ, p); err != nil {
				return
			}
		}
	})
}

func coder(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coderws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			typ, p, err := c.Read(context.Background())
			if err != nil {
				return
			}
			switch string(p) {
			case askCut:
				return
			case askPanic:
				panic("boom")
			case askClose:
				_ = c.Close(busy, "")
				return
			case askPing:
				go func() { // the pong is only found by a read
					if c.Ping(context.Background()) == nil {
						_ = c.Write(context.Background(), typ, p)
					}
				}()
				continue
			}
			if err := c.Write(context.Background(), typ, p); err != nil {
				return
			}
		}
	})
}

func gobwas(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := gobwasws.UpgradeHTTP(r, w)
		if err != nil {
			if c != nil {
				c.Close()
			}
			return
		}
		defer c.Close()
		for {
			p, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			switch string(p) {
			case askCut:
				return
			case askPanic:
				panic("boom")
			case askClose:
				_, _ = c.Write(gobwasws.MustCompileFrame(gobwasws.NewCloseFrame(gobwasws.NewCloseFrameBody(busy, ""))))
				continue
			case askPing:
				_, _ = c.Write(gobwasws.MustCompileFrame(gobwasws.NewPingFrame([]byte("here?"))))
			}
			if err := wsutil.WriteServerMessage(c, op, p); err != nil {
				return
			}
		}
	})
}

func xnet(t *testing.T) http.Handler {
	return netws.Server{Handler: func(c *netws.Conn) {
		for {
			var p string
			if err := netws.Message.Receive(c, &p); err != nil {
				return
			}
			switch p {
			case askCut:
				return
			case askPanic:
				panic("boom")
			case askClose:
				_ = c.WriteClose(busy)
				continue
			case askPing:
				c.PayloadType = netws.PingFrame
				_, _ = c.Write([]byte("here?"))
			}
			if err := netws.Message.Send(c, p); err != nil {
				return
			}
		}
	}}
}

func melodyServer() http.Handler {
	m := melody.New()
	m.Config.MaxMessageSize = 1 << 20
	m.HandleMessage(func(s *melody.Session, p []byte) {
		switch string(p) {
		case askClose:
			_ = s.CloseWithMsg(melody.FormatCloseMessage(busy, ""))
			return
		case askPanic:
			panic("boom")
		}
		_ = s.Write(p)
	})
	m.Config.PingPeriod = pingPeriod
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = m.HandleRequest(w, r) })
}

func gqlgen(t *testing.T) http.Handler {
	s := testserver.New()
	s.AddTransport(transport.Websocket{})
	return s
}

func centrifugeServer(t *testing.T) http.Handler {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		t.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "somebody"}}, nil
	})
	if err := node.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Shutdown(context.Background()) })
	return centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})
}

// reverseProxy passes everything on to a server that nobody observes.
func reverseProxy(t *testing.T) http.Handler {
	back := httptest.NewServer(coder(t))
	t.Cleanup(back.Close)
	u, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorLog = quiet()
	return proxy
}

func quiet() *log.Logger {
	return slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelInfo)
}
