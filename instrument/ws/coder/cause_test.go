package coder

import (
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument"
)

// TestEndIsLeftToTheWrite has a read fail because a write under way has made the transport close the connection: only
// the write knows why, whichever of the two returns first.
func TestEndIsLeftToTheWrite(t *testing.T) {
	read := func(c *Conn) { c.readFailed(t.Context(), net.ErrClosed) }
	write := func(c *Conn) {
		c.written(t.Context(), errors.New("timed out"))
		c.sent()
	}
	for name, order := range map[string][]func(*Conn){"read first": {read, write}, "write first": {write, read}} {
		t.Run(name, func(t *testing.T) {
			o, err := instrument.New()
			if err != nil {
				t.Fatal(err)
			}
			_, h := o.Handshake(t.Context(), nil, "")
			c := &Conn{observer: o, session: h.Opened(101)}
			c.sending.Add(1)
			for _, f := range order {
				f(c)
			}
			if got := ends(t, o); !slices.Equal(got, []string{"network write_error"}) {
				t.Errorf("ended by %q, want one write error", got)
			}
		})
	}
}

// ends returns the initiators and reasons by which connections have ended.
func ends(t *testing.T, o *instrument.Observer) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "websocket_disconnections_total" && m.GetCounter().GetValue() > 0 {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				all = append(all, labels["initiator"]+" "+labels["reason"])
			}
		}
	}
	return all
}
