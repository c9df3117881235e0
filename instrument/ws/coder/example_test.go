package coder_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// An echo server that is observed.
func Example() {
	observer, err := instrument.New(instrument.WithNamespace("echo"), instrument.WithMessageTypes("text"))
	if err != nil {
		fmt.Println(err)
		return
	}
	text := observer.MessageType("text")
	echo := func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, observer, nil)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.CloseNow()
		connection := conn.Observed()
		ctx := connection.Context(r.Context())
		for {
			typ, payload, err := conn.Read(ctx)
			if err != nil {
				return // counted and logged with its cause
			}
			_ = connection.Handle(ctx, text, len(payload), nil, func(ctx context.Context) error {
				if err := conn.Write(ctx, typ, payload); err != nil {
					return err
				}
				connection.Sent(text, len(payload))
				return nil
			})
		}
	}
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()

	ctx := context.Background()
	client, _, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := client.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		fmt.Println(err)
	}
	_, payload, err := client.Read(ctx)
	fmt.Println(string(payload), err)
	fmt.Println(client.Close(websocket.StatusNormalClosure, ""))
	// Output:
	// hello <nil>
	// <nil>
}

// A feed only writes. Its clients are to send nothing, but may leave.
func ExampleConn_CloseRead() {
	observer, err := instrument.New(instrument.WithNamespace("feed"))
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, observer, nil)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.CloseNow()
		conn.CountMessages(nil)
		ctx := conn.CloseRead(conn.Observed().Context(r.Context()))
		if err := conn.Write(ctx, websocket.MessageText, []byte("news")); err != nil {
			return
		}
		<-ctx.Done() // the client has left, and that is counted as what it was
	}))
	defer server.Close()

	ctx := context.Background()
	client, _, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, payload, err := client.Read(ctx)
	fmt.Println(string(payload), err)
	fmt.Println(client.Close(websocket.StatusNormalClosure, ""))
	// Output:
	// news <nil>
	// <nil>
}
