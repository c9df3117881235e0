package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/carrier"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// members lets in peers that have the token, and logs that it heard them.
func members(observer *instrument.Observer, logger *slog.Logger) http.Handler {
	chat := observer.MessageType("chat")
	logger = slog.New(instrument.NewLogHandler(logger.Handler())) // adds trace_id, span_id and connection_id
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, handshake := observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "send a token", http.StatusUnauthorized)
			handshake.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, errors.New("no token"))
			return
		}
		conn, err := coder.Accept(w, r.WithContext(ctx), observer, nil) // continues the handshake that ctx carries
		if err != nil {
			return
		}
		defer conn.CloseNow()
		observed := conn.Observed()
		connCtx := observed.Context(r.Context())
		var envelope carrier.JSON // one for all messages of the connection
		for {
			_, payload, err := conn.Read(connCtx)
			if err != nil {
				return
			}
			envelope.Reset(payload)
			_ = observed.Handle(connCtx, chat, len(payload), &envelope, func(ctx context.Context) error { // linked to the sender's span
				logger.InfoContext(ctx, "heard")
				return nil
			})
		}
	})
}

func TestMembers(t *testing.T) {
	r := realtimetest.New(t, instrument.WithMessageTypes("chat"))
	var logs bytes.Buffer
	server := httptest.NewServer(members(r.Observer, slog.New(slog.NewJSONHandler(&logs, nil))))
	defer server.Close()

	if _, _, err := websocket.Dial(t.Context(), server.URL, nil); err == nil {
		t.Fatal("a stranger is let in")
	}
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer secret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	payload := `{"text": "hello", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}

	r.Expect(map[string]float64{
		`websocket_connections_total{status="unauthorized"}`:                 1,
		`websocket_connections_total{status="connected"}`:                    1,
		`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
		`websocket_message_duration_seconds_count{type="chat"}`:              1,
		`websocket_errors_total{kind="auth"}`:                                1,
		`websocket_active_connections{}`:                                     0,
		`websocket_handshake_duration_seconds_count{status="unauthorized"}`:  1,
	})
	connection := r.Record("connection closed")["connection_id"] // written after all others
	var heard map[string]any
	if err := json.Unmarshal(logs.Bytes(), &heard); err != nil || heard["connection_id"] != connection || heard["trace_id"] == nil {
		t.Errorf("our own record is %s, want it to have a trace and the connection %v: %v", &logs, connection, err)
	}
	for _, span := range r.Spans() {
		if span.Name() != "websocket.message chat" {
			continue
		}
		links := span.Links() // to the handshake, and to the sender
		if got := links[len(links)-1].SpanContext.TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("the message is linked to %s", got)
		}
		return
	}
	t.Error("the message has no span")
}
