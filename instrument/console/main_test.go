package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is an observed endpoint without a network.
type service struct {
	*instrument.Observer
	console *Console
	say     instrument.MessageType
}

func newService(tb testing.TB, opts ...instrument.Option) *service {
	tb.Helper()
	c := New(Config{Service: "test"})
	o, err := instrument.New(append([]instrument.Option{
		instrument.WithNamespace("chat"), instrument.WithMessageTypes("say"), instrument.WithoutTracing(),
		instrument.WithLogger(slog.New(c.LogHandler(nil))),
	}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	c.Observe(o)
	return &service{o, c, o.MessageType("say")}
}

func (s *service) open(tb testing.TB) *instrument.Conn {
	tb.Helper()
	_, h := s.BeginHandshake(tb.Context(), instrument.Request{Method: http.MethodGet, Path: "/ws"})
	return h.Opened(http.StatusSwitchingProtocols)
}

func fails(context.Context) error { return errors.New("no such room") }
