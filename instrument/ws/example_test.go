package ws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	coderws "github.com/coder/websocket"
	gorillaws "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws"
)

// A server that is observed without a change in its code.
func ExampleHandler() {
	observer, err := instrument.New(instrument.WithNamespace("echo"))
	if err != nil {
		fmt.Println(err)
		return
	}

	var upgrader gorillaws.Upgrader
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, payload, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, payload) != nil {
				return
			}
		}
	})

	mux := http.NewServeMux()
	mux.Handle("/ws", ws.Handler(observer, echo))
	server := httptest.NewServer(mux)
	defer server.Close()

	fmt.Println(say(server.URL+"/ws", "hello"))
	fmt.Println(observer.Drain(context.Background()))
	fmt.Println(testutil.CollectAndCompare(observer, strings.NewReader(`
# HELP websocket_messages_total Whole messages.
# TYPE websocket_messages_total counter
websocket_messages_total{direction="receive",namespace="echo",type="other"} 1
websocket_messages_total{direction="transmit",namespace="echo",type="other"} 1
`), "websocket_messages_total"))
	// Output:
	// hello <nil>
	// <nil>
	// <nil>
}

// say sends a message and returns what comes back.
func say(url, text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	client, _, err := coderws.Dial(ctx, url, nil)
	if err != nil {
		return "", err
	}
	defer client.CloseNow()
	if err := client.Write(ctx, coderws.MessageText, []byte(text)); err != nil {
		return "", err
	}
	_, payload, err := client.Read(ctx)
	if err != nil {
		return "", err
	}
	return string(payload), client.Close(coderws.StatusNormalClosure, "")
}
