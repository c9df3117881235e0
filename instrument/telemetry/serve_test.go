package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/instrument"
)

// serving runs Serve and returns where it listens, and what it has returned.
func serving(ctx context.Context, t *testing.T, tel *Telemetry, written *lines, h http.Handler) (url string, result <-chan error) {
	t.Helper()
	returned := make(chan error, 1)
	go func() { returned <- tel.Serve(ctx, &http.Server{Addr: "127.0.0.1:0", Handler: h}) }()
	var record struct{ Address string }
	if err := json.Unmarshal([]byte(written.find(t, `"msg":"listening"`)), &record); err != nil {
		t.Fatal(err)
	}
	return "http://" + record.Address, returned
}

// TestServeShutsDown ends the context while connections of two observers are open and another request is under way.
func TestServeShutsDown(t *testing.T) {
	c := newCollector(t, protocolGRPC)
	c.serve(nil)
	written := newLines()
	tel := start(t, WithLogWriter(written))
	told := make(chan string, 2)
	for _, namespace := range []string{"chat", "feed"} {
		o, err := tel.NewObserver(instrument.WithNamespace(namespace))
		if err != nil {
			t.Fatal(err)
		}
		_, h := o.BeginHandshake(t.Context(), instrument.Request{})
		conn := h.Opened(http.StatusSwitchingProtocols)
		conn.OnDrain(func() {
			told <- namespace
			conn.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown})
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	url, returned := serving(ctx, t, tel, written, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stop()
		for range 2 {
			<-told // the connections, before the server stops waiting for requests
		}
		_, _ = io.WriteString(w, "done")
	}))
	resp, err := http.Get(url) //nolint:noctx // the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" {
		t.Errorf("the request that was under way got %q, %v", body, err)
	}
	within(t, "Serve", func() { err = <-returned })
	if err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if names := c.spanNames(); len(names) != 4 { // of two handshakes and closes
		t.Errorf("spans %v were delivered, want 4", names)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil { //nolint:noctx // likewise
		_ = conn.Close()
		t.Error("the server still listens")
	}
}

// TestServeFails has another listen at the address: that is told, and what is queued is delivered.
func TestServeFails(t *testing.T) {
	c := newCollector(t, protocolGRPC)
	c.serve(nil)
	tel := start(t, WithLogWriter(io.Discard))
	other, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed below
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	endSpan(tel, "last words")
	err = tel.Serve(t.Context(), &http.Server{Addr: other.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "telemetry: serve: listen") {
		t.Errorf("Serve = %v, want it to tell of the address", err)
	}
	if names := c.spanNames(); len(names) != 1 {
		t.Errorf("spans %v were delivered, want one", names)
	}
}
