package gobwas_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// An echo server that is observed: the connection is used with wsutil as it would be without an observer.
func Example() {
	observer, err := instrument.New(instrument.WithNamespace("echo"), instrument.WithMessageTypes("text"))
	if err != nil {
		fmt.Println(err)
		return
	}
	text := observer.MessageType("text")
	echo := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := gobwas.UpgradeHTTP(r, w, ws.HTTPUpgrader{}, observer)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.Close()
		connection := conn.Observed()
		ctx := connection.Context(r.Context())
		for {
			payload, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				return // counted and logged with its cause
			}
			_ = connection.Handle(ctx, text, len(payload), nil, func(context.Context) error {
				if err := wsutil.WriteServerMessage(conn, op, payload); err != nil {
					return err
				}
				connection.Sent(text, len(payload))
				return nil
			})
		}
	}
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	fmt.Println(say(server.URL, "hello"))
	// Output: hello <nil>
}

// A server without net/http that leaves counting to the adapter.
func ExampleUpgrade() {
	observer, err := instrument.New(instrument.WithMessageTypes("text", "binary"))
	if err != nil {
		fmt.Println(err)
		return
	}
	types := map[ws.OpCode]instrument.MessageType{
		ws.OpText:   observer.MessageType("text"),
		ws.OpBinary: observer.MessageType("binary"),
	}
	upgrader := ws.Upgrader{OnRequest: func(uri []byte) error {
		if string(uri) != "/echo" {
			return ws.RejectConnectionError(ws.RejectionStatus(http.StatusForbidden))
		}
		return nil
	}}
	echo := func(tcp net.Conn) {
		defer tcp.Close()
		conn, _, err := gobwas.Upgrade(tcp, upgrader, observer)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.Close()
		conn.CountMessages(func(op ws.OpCode, _ int64) instrument.MessageType { return types[op] })
		for {
			payload, op, err := wsutil.ReadClientData(conn)
			if err != nil || wsutil.WriteServerMessage(conn, op, payload) != nil {
				return
			}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go func() {
		for {
			tcp, err := listener.Accept()
			if err != nil {
				return
			}
			go echo(tcp)
		}
	}()
	fmt.Println(say("http://"+listener.Addr().String()+"/echo", "hello"))
	// Output: hello <nil>
}

// say sends a message and returns what comes back.
func say(url, text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	client, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return "", err
	}
	defer client.CloseNow()
	if err := client.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return "", err
	}
	_, payload, err := client.Read(ctx)
	if err != nil {
		return "", err
	}
	return string(payload), client.Close(websocket.StatusNormalClosure, "")
}
