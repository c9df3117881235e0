package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
)

const someID = "6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55"

// payloadNames returns the names of the fields of a message's payload.
func payloadNames(m proto.Message) []string {
	var names []string
	fields := m.ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields()
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	slices.Sort(names)
	return names
}

// Protobuf has every type, each under its name, and no others.
func TestProtobufHasAllTypes(t *testing.T) {
	server := []Type{
		TypeMessage, TypeTyping, TypeRead, TypeHistory, TypeDocumentClose, TypeDocumentEdit, TypeDocumentCursor,
	}
	for _, typ := range Types() {
		if !slices.Contains(clientTypes(), typ) {
			server = append(server, typ)
		}
	}
	if diff := cmp.Diff(sorted(clientTypes()), payloadNames(new(chatv1.ChatRequest))); diff != "" {
		t.Errorf("what a client sends (-JSON +protobuf):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(server), payloadNames(new(chatv1.Frame))); diff != "" {
		t.Errorf("what the server sends (-JSON +protobuf):\n%s", diff)
	}
}

// filled returns a payload in which no field has its zero value.
func filled(typ Type) any {
	at := time.Date(2026, 1, 2, 15, 4, 5, 600, time.FixedZone("", 3600))
	someText := "one\ntwo 👋"
	return map[Type]any{
		TypeWelcome: WelcomePayload{Session: "s", Node: "n", User: "ann", Expires: at},
		TypeAck:     AckPayload{Success: true, SavedID: "7-0", Seq: 1 << 60, Error: CodeForbidden, Reason: "why"},
		TypeMessage: MessagePayload{Room: "lobby", Text: "hällo <👋>\n", SavedID: "7-0", From: "ben"},
		TypeTyping:  TypingPayload{Room: "lobby", Typing: true, User: "ben"},
		TypeRead:    ReadPayload{Room: "lobby", Seq: 9007199254740993, User: "ben"},
		TypeHistory: HistoryPayload{Room: "lobby", More: true, Messages: []HistoryMessage{
			{Seq: 1, SavedID: "1-0", MessageID: someID, From: "ben", Text: "hello", Timestamp: at, Traceparent: "00-"},
		}},
		TypeJoined:       PresencePayload{Room: "lobby", User: "ben"},
		TypeLeft:         PresencePayload{Room: "lobby", User: "ben"},
		TypeRoomUsers:    RoomUsersPayload{Room: "lobby", Users: []string{"ben"}, Count: 7, Seq: 9, Read: map[string]uint64{"ben": 8}},
		TypeNotification: NotificationPayload{From: "ben", Text: "wake up"},
		TypeDashboard:    DashboardPayload{Node: "n", Connections: 1, Rooms: 2, ReceivedPerSecond: 0.5, SentPerSecond: 1e6},
		TypeGame:         GamePayload{Player: 7, Rate: 30, Width: 1600, Height: 900, Keep: 128},
		TypeGameState: GameStatePayload{
			Tick: 1 << 60, Base: 9, Players: []GamePlayer{{ID: 7, Name: "ben", X: 3, Y: 4}}, Gone: []uint32{6},
		},
		TypeDocument:      DocumentPayload{Document: "notes", Version: 1 << 60, SavedID: "7-0", Text: &someText},
		TypeDocumentClose: DocumentClosePayload{Document: "notes"},
		TypeDocumentEdit: DocumentEditPayload{
			Document: "notes", Version: 9, Base: 7, SavedID: "9-0", User: "ben",
			Operations: []DocumentOperation{{Retain: 5, Insert: "hällo <👋>", Delete: 2}},
		},
		TypeDocumentCursor: DocumentCursorPayload{
			Document: "notes", Version: 9, Start: 3, End: 4, Session: "s", User: "ben", Gone: true,
		},
		TypeError:         ErrorPayload{Code: CodeBadProtobuf, Reason: "why"},
		TypeTokenExpiring: TokenExpiringPayload{Expires: at},
		TypeGoingAway:     GoingAwayPayload{Reason: "restart", ReconnectAfterMS: 1500},
		TypeTicks: json.RawMessage(`{"firstSeq": 1, "lastSeq": 2, "skipped": 3,
			"ticks": [{"symbol": "ACME", "seq": 1, "time": "2026-01-02T15:04:05Z", "price": 100, "size": 2}]}`),
	}[typ]
}

// TestToProtobuf has every field of every frame arrive.
func TestToProtobuf(t *testing.T) {
	for _, typ := range Types() {
		if slices.Contains(clientTypes(), typ) && filled(typ) == nil {
			continue // no server sends it
		}
		env, err := New(typ, someID, filled(typ))
		if err != nil {
			t.Fatal(err)
		}
		env.Seq, env.Traceparent, env.Tracestate = 5, "00-1", "a=b"
		f, err := env.Frame()
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := f.Encode(Protobuf, nil)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		var response chatv1.ChatResponse
		var subscription chatv1.SubscribeMessagesResponse
		if err := errors.Join(proto.Unmarshal(data, &response), proto.Unmarshal(data, &subscription)); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(response.GetFrame(), subscription.GetFrame()) {
			t.Errorf("%s: the responses of Chat and SubscribeMessages differ", typ)
		}
		if diff := cmp.Diff(plain(t, f.Data), flat(t, response.GetFrame())); diff != "" {
			t.Errorf("%s (-JSON +protobuf):\n%s", typ, diff)
		}
	}
}

// flat returns a frame as the plain JSON of an envelope.
func flat(t *testing.T, f *chatv1.Frame) map[string]any {
	t.Helper()
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))
	if field == nil {
		t.Fatal("a frame without a payload")
	}
	data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	env := plain(t, data)
	name := field.JSONName()
	env["type"] = string(field.Name())
	if payload := env[name].(map[string]any); len(payload) > 0 {
		env["payload"] = payload
	}
	delete(env, name)
	return env
}

// plain returns JSON with numbers and times in one form.
func plain(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return normal(v).(map[string]any)
}

func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.UTC().String()
		}
		if n := json.Number(v); len(v) > 0 && v[0] >= '0' && v[0] <= '9' { // a 64-bit number, which protobuf's JSON quotes
			if f, err := n.Float64(); err == nil {
				return f
			}
		}
	}
	return v
}

func request(payload func(*chatv1.ChatRequest)) *chatv1.ChatRequest {
	r := &chatv1.ChatRequest{MessageId: someID, Timestamp: timestamppb.New(time.Unix(1_700_000_000, 0)), Traceparent: "00-1", Tracestate: "a=b"}
	payload(r)
	return r
}

func marshaled(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// requests are one of each type, in protobuf and by their payload in JSON. Those without one differ in blanks.
func requests() map[string]*chatv1.ChatRequest {
	after := uint64(9007199254740993)
	return map[string]*chatv1.ChatRequest{
		`{"token":"t"}`: request(func(r *chatv1.ChatRequest) { r.Payload = &chatv1.ChatRequest_Auth{Auth: &chatv1.Auth{Token: "t"}} }),
		`{"room":"lobby","after":9007199254740993}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Join{Join: &chatv1.Join{Room: "lobby", After: &after}}
		}),
		`{"room":"lobby"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Leave{Leave: &chatv1.Leave{Room: "lobby"}}
		}),
		`{"room":"lobby","text":"hällo 👋"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Message{Message: &chatv1.Message{Room: "lobby", Text: "hällo 👋"}}
		}),
		`{"room":"lobby","typing":false}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Typing{Typing: &chatv1.Typing{Room: "lobby"}}
		}),
		`{"room":"lobby","seq":9007199254740993}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Read{Read: &chatv1.Read{Room: "lobby", Seq: after}}
		}),
		`{"room":"lobby","after":9007199254740993,"limit":7}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_History{History: &chatv1.HistoryQuery{Room: "lobby", After: &after, Limit: 7}}
		}),
		`{"stream":"market"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Subscribe{Subscribe: &chatv1.Subscribe{Stream: "market"}}
		}),
		`{"stream":"dashboard"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Unsubscribe{Unsubscribe: &chatv1.Unsubscribe{Stream: "dashboard"}}
		}),
		`{"user":"ben","text":"wake up"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_Notify{Notify: &chatv1.Notify{User: "ben", Text: "wake up"}}
		}),
		`{"x":-1,"y":1,"ack":9007199254740993}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_GameInput{GameInput: &chatv1.GameInput{X: -1, Y: 1, Ack: after}}
		}),
		`{"document":"notes","after":9007199254740993,"savedId":"7-0"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_DocumentOpen{DocumentOpen: &chatv1.DocumentOpen{Document: "notes", After: &after, SavedId: "7-0"}}
		}),
		`{"document":"notes"}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_DocumentClose{DocumentClose: &chatv1.DocumentClose{Document: "notes"}}
		}),
		`{"document":"notes","version":9,"operations":[{"retain":5},{"insert":"👋"},{"delete":2}]}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_DocumentEdit{DocumentEdit: &chatv1.DocumentEdit{
				Document: "notes", Version: 9, Operations: []*chatv1.DocumentOperation{{Retain: 5}, {Insert: "👋"}, {Delete: 2}},
			}}
		}),
		`{"document":"notes","version":9,"start":3,"end":4}`: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_DocumentCursor{DocumentCursor: &chatv1.DocumentCursor{Document: "notes", Version: 9, Start: 3, End: 4}}
		}),
		` `: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_GameJoin{GameJoin: new(chatv1.GameJoin)}
		}),
		`  `: request(func(r *chatv1.ChatRequest) {
			r.Payload = &chatv1.ChatRequest_GameLeave{GameLeave: new(chatv1.GameLeave)}
		}),
		``: request(func(r *chatv1.ChatRequest) { r.Payload = &chatv1.ChatRequest_Ping{Ping: new(chatv1.Ping)} }),
	}
}

// Requests in protobuf and JSON have to be read as the same envelope.
func TestProtobufIsJSON(t *testing.T) {
	seen := make(map[Type]bool)
	for payload, r := range requests() {
		got, err := DecodeProtobuf(marshaled(t, r))
		if err != nil {
			t.Errorf("%s: %v", payload, err)
			continue
		}
		seen[got.Type] = true
		want := Envelope{
			Type: got.Type, Payload: json.RawMessage(payload), MessageID: someID, Timestamp: time.Unix(1_700_000_000, 0).UTC(),
			Traceparent: "00-1", Tracestate: "a=b",
		}
		if strings.TrimSpace(payload) == "" {
			want.Payload = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-JSON +protobuf):\n%s", payload, diff)
		}
	}
	if len(seen) != len(clientTypes()) {
		t.Errorf("%d types were read, want all %d", len(seen), len(clientTypes()))
	}
}

func TestDecodeProtobufRefuses(t *testing.T) {
	ping := func(r *chatv1.ChatRequest) { r.Payload = &chatv1.ChatRequest_Ping{Ping: new(chatv1.Ping)} }
	unknown := marshaled(t, request(func(r *chatv1.ChatRequest) {
		r.ProtoReflect().SetUnknown(protoreflect.RawFields{0xba, 0x06, 0x00}) // field 103, empty
	}))
	noTime, badTime, noID := request(ping), request(ping), request(ping)
	noTime.Timestamp, badTime.Timestamp.Nanos, noID.MessageId = nil, -1, "7"
	for name, tc := range map[string]struct {
		data []byte
		code Code
	}{
		"empty":           {nil, CodeBadEnvelope},
		"cut off":         {marshaled(t, request(ping))[:20], CodeBadProtobuf},
		"text":            {[]byte(`{"type":"ping"}`), CodeBadProtobuf},
		"not UTF-8":       {unhex(t, "0a01ff"), CodeBadProtobuf},
		"unknown payload": {unknown, CodeBadEnvelope},
		"no time":         {marshaled(t, noTime), CodeBadEnvelope},
		"bad time":        {marshaled(t, badTime), CodeBadEnvelope},
		"no UUID":         {marshaled(t, noID), CodeBadEnvelope},
	} {
		env, err := DecodeProtobuf(tc.data)
		var p *RefusalError
		if !errors.As(err, &p) || p.Code != tc.code {
			t.Errorf("%s: %+v, %v, want %s", name, env, err, tc.code)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzDecodeProtobuf has everything be refused with a reason, or be what JSON can say as well.
func FuzzDecodeProtobuf(f *testing.F) {
	for _, r := range requests() {
		f.Add(marshaled(f, r))
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := DecodeProtobuf(data)
		if err != nil {
			var p *RefusalError
			if !errors.As(err, &p) || p.Reason == "" {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		frame, err := encode(&env)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(frame)
		if err != nil {
			t.Fatalf("JSON refuses what protobuf has accepted: %v\n%s", err, frame)
		}
		if diff := cmp.Diff(env, again); diff != "" {
			t.Errorf("-protobuf +JSON:\n%s", diff)
		}
	})
}

// BenchmarkEncode encodes a message once for all of its recipients.
func BenchmarkEncode(b *testing.B) {
	for name, encoding := range map[string]Encoding{"MessagePack": MessagePack, "Protobuf": Protobuf} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := NewFrame(TypeMessage, someID, filled(TypeMessage))
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := f.Encode(encoding, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
