package sse_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// A stream of prices that is observed, with a heartbeat while there is nothing to tell.
func Example() {
	observer, err := instrument.New(instrument.WithProtocol(sse.Protocol), instrument.WithNamespace("prices"),
		instrument.WithMessageTypes("price"))
	if err != nil {
		fmt.Println(err)
		return
	}
	price := observer.MessageType("price")
	prices := make(chan string, 1)
	prices <- "1.5"

	handler := func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, observer)
		if err != nil {
			return // answered, counted and logged
		}
		defer stream.Close()
		heartbeat := time.NewTicker(15 * time.Second)
		defer heartbeat.Stop()
		for {
			select {
			case <-stream.Context().Done():
				return
			case <-heartbeat.C:
				err = stream.Comment("")
			case p := <-prices:
				if err = stream.Send(sse.Event{Type: "price", Data: []byte(p)}); err == nil {
					stream.Observed().Sent(price, len(p))
				}
			}
			if err != nil {
				return
			}
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	defer server.Close()

	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := server.Client().Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for events := 0; events < 2 && lines.Scan(); {
		if line := lines.Text(); line != "" && line != ":" { // the stream begins with a comment
			fmt.Println(line)
			events++
		}
	}
	// Output:
	// event: price
	// data: 1.5
}
