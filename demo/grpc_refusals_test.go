package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/demo/auth"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestGRPCRefusals makes calls that are not allowed.
func TestGRPCRefusals(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, Limits: Limits{RoomsPerConnection: 2}})
	ann := f.callerWith(f.token("Ann"))
	late := time.Now().Add(-time.Hour)
	expired := signed(t, jwt.RegisteredClaims{
		Subject: "Ann", Audience: jwt.ClaimStrings{auth.Audience}, ExpiresAt: jwt.NewNumericDate(late), IssuedAt: jwt.NewNumericDate(late),
	})
	send := func(c *calls, r *chatv1.SendMessageRequest) error {
		_, err := c.SendMessage(t.Context(), r)
		return err
	}
	subscribe := func(c *calls, rooms []string, streams ...string) error {
		r := &chatv1.SubscribeMessagesRequest{Streams: streams}
		for _, room := range rooms {
			r.Rooms = append(r.Rooms, &chatv1.Join{Room: room})
		}
		return c.subscribeTo(r).ended()
	}
	bad := failed{codes.InvalidArgument, "BAD_PAYLOAD", "BadRequest"}
	for name, tc := range map[string]struct {
		err  error
		want failed
	}{
		"no token":          {send(f.callerWith(""), message("lobby", "x")), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"no token, stream":  {f.callerWith("").chat(t.Context()).ended(), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"bad token":         {subscribe(f.callerWith("a.b.c"), nil), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"expired token":     {subscribe(f.callerWith(expired), nil), failed{codes.Unauthenticated, "UNAUTHORIZED", ""}},
		"private room":      {send(ann, message("private.x", "x")), failed{codes.PermissionDenied, "FORBIDDEN", ""}},
		"private, stream":   {subscribe(ann, []string{"private.x"}), failed{codes.PermissionDenied, "FORBIDDEN", ""}},
		"no text":           {send(ann, message("lobby", " ")), bad},
		"bad room":          {send(ann, message("a b", "x")), bad},
		"no id":             {send(ann, &chatv1.SendMessageRequest{Room: "lobby", Text: "x"}), bad},
		"bad room, stream":  {subscribe(ann, []string{"a b"}), bad},
		"too many rooms":    {subscribe(ann, []string{"a", "b", "c"}), bad},
		"unknown stream":    {subscribe(ann, nil, "weather"), bad},
		"stream twice":      {subscribe(ann, nil, "market", "market"), bad},
		"a message too big": {send(ann, message("lobby", strings.Repeat("x", wire.MaxFrameBytes))), failed{code: codes.ResourceExhausted}},
	} {
		if got := failureOf(tc.err); got != tc.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, tc.err, tc.want)
		}
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_connections_total unauthorized":  3,
		"grpc_stream_connections_total forbidden":     1,
		"grpc_stream_connections_total bad_handshake": 4,
	}, "grpc_stream_connections_total", "grpc_stream_active_connections")
}

// TestGRPCViolations lists everything that is wrong with a request.
func TestGRPCViolations(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	_, err := f.caller("Ann").SendMessage(t.Context(), new(chatv1.SendMessageRequest))
	text := fmt.Sprint(status.Convert(err).Details()...)
	for _, field := range []string{"message_id", "room", "text"} {
		if !strings.Contains(text, `"`+field+`"`) {
			t.Errorf("%s is not said to be wrong: %s", field, text)
		}
	}
}

// TestGRPCMalformed sends what can't be read: it is answered as on a WebSocket, and the stream stays.
func TestGRPCMalformed(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	c := f.chatter("Ada", grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	for data, want := range map[string]wire.Code{
		"\xff": wire.CodeBadProtobuf, "": wire.CodeBadEnvelope, `{"type":"ping"}`: wire.CodeBadProtobuf,
	} {
		if err := c.rpc.SendMsg([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if e := c.await("error").GetError(); e.GetCode() != string(want) || e.GetReason() == "" {
			t.Errorf("%q: %v, want %s", data, e, want)
		}
	}
	c.ping()
	if err := c.rpc.SendMsg(make([]byte, wire.MaxFrameBytes+1)); err != nil {
		t.Fatal(err)
	}
	if err := c.ended(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message too big: %v", err)
	}
	f.awaitMetrics(map[string]float64{
		"grpc_stream_errors_total decode": 3, "grpc_stream_errors_total read": 1,
		"grpc_stream_disconnections_total local message_too_big": 1,
	}, "grpc_stream_errors_total", "grpc_stream_disconnections_total")
}

// TestGRPCDeadlines has clients that wait only so long: for the store, and on a stream.
func TestGRPCDeadlines(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	f := start(t, Config{GRPC: true, History: store})
	c := f.caller("Ada")
	if _, err := c.SendMessage(t.Context(), message("lobby", "hello")); err != nil {
		t.Fatal(err)
	}
	store.suffer(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	request := message("lobby", "late")
	if _, err := c.SendMessage(ctx, request); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("SendMessage: %v, want the deadline", err)
	}
	store.suffer(nil)
	if answer, err := c.SendMessage(t.Context(), request); err != nil || answer.GetSeq() != 2 {
		t.Errorf("the same again: %v, %v", answer, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.chat(ctx).ended(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("Chat: %v, want the deadline", err)
	}
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total remote going_away": 1},
		"grpc_stream_disconnections_total", "grpc_stream_errors_total", "grpc_stream_active_connections")
}

// TestGRPCUnavailable has the store fail: the client is told to try again.
func TestGRPCUnavailable(t *testing.T) {
	t.Parallel()
	store := newFragile(t)
	f := start(t, Config{GRPC: true, History: store, Limits: Limits{Store: 100 * time.Millisecond}})
	store.suffer(func(context.Context) error { return errors.New("no store") })
	_, err := f.caller("Ada").SendMessage(t.Context(), message("lobby", "hello"))
	if want := (failed{codes.Unavailable, "UNAVAILABLE", "RetryInfo"}); failureOf(err) != want {
		t.Errorf("%v, want %+v", err, want)
	}
}

// TestGRPCTokenEnds has a token end: a Chat can renew it, a subscription can't.
func TestGRPCTokenEnds(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true})
	short := func(user string) string {
		token, err := f.tokens.Issue(user, nil, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ada := f.callerWith(short("Ada")).chat(t.Context())
	eve := f.callerWith(short("Eve")).subscribe(0)
	upload, err := f.callerWith(short("Dan")).UploadLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&chatv1.UploadLogsRequest{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	ada.await("token_expiring")
	ada.send(&chatv1.ChatRequest{Payload: &chatv1.ChatRequest_Auth{Auth: &chatv1.Auth{Token: f.token("Ada")}}})
	ada.await("ack")
	want := failed{codes.Unauthenticated, "TOKEN_EXPIRED", ""}
	if err := eve.ended(); failureOf(err) != want {
		t.Errorf("a subscription ends by %v, want %+v", err, want)
	}
	if err := upload.RecvMsg(new(chatv1.UploadLogsResponse)); failureOf(err) != want {
		t.Errorf("an upload ends by %v, want %+v", err, want)
	}
	ada.ping()
	f.awaitMetrics(map[string]float64{"grpc_stream_disconnections_total local token_expired": 2}, "grpc_stream_disconnections_total")
}
