package gorilla_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// An echo server that is observed, with its metrics beside it.
func Example() {
	observer, err := instrument.New(instrument.WithNamespace("echo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(observer)

	upgrader := websocket.Upgrader{}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := gorilla.Upgrade(w, r, observer, &upgrader, nil)
		if err != nil {
			return // answered, counted and logged
		}
		defer conn.Close()
		conn.CountMessages(nil)
		for {
			kind, payload, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, payload) != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	client, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/ws", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Println(client.WriteMessage(websocket.TextMessage, []byte("hello")))
	_, payload, err := client.ReadMessage()
	fmt.Println(string(payload), err)
	// Output:
	// <nil>
	// hello <nil>
}
