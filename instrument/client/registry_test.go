package client_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/client"
)

// TestOneRegistry has a client, another one and observers share a registry, all but the other one by the same name.
func TestOneRegistry(t *testing.T) {
	feed := client.Feed{
		Decode: func(e []client.Event, _ client.MessageType, _ []byte) ([]client.Event, error) { return e, nil },
		Handle: func(context.Context, client.Event) error { return nil },
	}
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"feed", "other"} {
		c, err := client.New("ws://exchange.example", feed, client.WithName(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(c); err != nil {
			t.Error(err)
		}
	}
	for _, transport := range []string{"websocket", "sse"} {
		o, err := instrument.New(instrument.WithNamespace("feed"), instrument.WithProtocol(transport))
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(o); err != nil {
			t.Error(err)
		}
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}
