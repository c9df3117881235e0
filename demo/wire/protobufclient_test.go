package wire

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
)

// TestProtobufOfAClient sends requests as a client and has the server read them, and the other way round.
func TestProtobufOfAClient(t *testing.T) {
	t.Parallel()
	after := uint64(1<<63 + 1)
	for typ, payload := range map[Type]any{
		TypePing:    nil,
		TypeJoin:    JoinPayload{Room: "lobby", After: &after},
		TypeMessage: MessagePayload{Room: "lobby", Text: "<hello> „you“"},
		TypeHistory: HistoryRequest{Room: "lobby", After: new(uint64), Limit: 7},
		TypeAuth:    AuthPayload{Token: "x"},
	} {
		env, err := New(typ, "", payload)
		if err != nil {
			t.Fatal(err)
		}
		env.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		data, err := EncodeRequest(&env)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		got, err := DecodeProtobuf(data)
		if typ == TypePing {
			env.Payload = got.Payload
		}
		if diff := cmp.Diff(env, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", typ, err, diff)
		}
	}
	strange, err := New("dance", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := EncodeRequest(&strange); err == nil {
		t.Error("a request that there is not is encoded")
	}
}

func TestProtobufForAClient(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 15, 4, 5, 678, time.UTC)
	for typ, payload := range map[Type]any{
		TypeWelcome:   WelcomePayload{Session: "s", Node: "n", User: "ann", Expires: at},
		TypeAck:       AckPayload{Success: true, SavedID: "x", Seq: 1<<64 - 1},
		TypeRoomUsers: RoomUsersPayload{Room: "lobby", Users: []string{"ann", "bob"}, Count: 2, Seq: 7, Read: map[string]uint64{"ann": 1 << 60}},
		TypeHistory: HistoryPayload{Room: "lobby", More: true, Messages: []HistoryMessage{
			{Seq: 1, SavedID: "a", MessageID: "b", From: "ann", Text: "<x>", Timestamp: at}, {Seq: 2},
		}},
		TypeDashboard: DashboardPayload{Node: "n", Connections: 3, ReceivedPerSecond: 0.25},
		TypeError:     ErrorPayload{Code: CodeBadJSON, Reason: "no"},
	} {
		env, err := New(typ, "", payload)
		if err != nil {
			t.Fatal(err)
		}
		env.Seq = 17
		f, err := env.Frame()
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := f.Encode(Protobuf, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeResponse(data)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		want, is := fieldsOf(t, env), fieldsOf(t, got)
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("%s (-want +got):\n%s", typ, diff)
		}
	}
}

// fieldsOf returns an envelope as maps, without what is empty.
func fieldsOf(t *testing.T, env Envelope) map[string]any {
	t.Helper()
	data, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	prune(fields)
	return fields
}

func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			prune(value)
			if value == false || value == "" || value == float64(0) || value == "0001-01-01T00:00:00Z" {
				delete(v, name)
			}
		}
	case []any:
		for _, one := range v {
			prune(one)
		}
	}
}

// FuzzDecodeResponse reads any response. A response that can be read is a message, which can be written in JSON.
func FuzzDecodeResponse(f *testing.F) {
	for _, response := range []*chatv1.ChatResponse{
		{},
		{Frame: &chatv1.Frame{}},
		{Frame: &chatv1.Frame{Seq: 7, Payload: &chatv1.Frame_Message{Message: &chatv1.Message{Room: "lobby", Text: "x"}}}},
		{Frame: &chatv1.Frame{Payload: &chatv1.Frame_RoomUsers{RoomUsers: &chatv1.RoomUsers{Read: map[string]uint64{"a": 1}}}}},
		{Frame: &chatv1.Frame{Payload: &chatv1.Frame_Dashboard{Dashboard: &chatv1.Dashboard{SentPerSecond: 1.5}}}},
	} {
		data, err := proto.Marshal(response)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := DecodeResponse(data)
		if err == nil && (env.Type == "" || !json.Valid(env.Payload)) {
			t.Errorf("%x is read as %+v", data, env)
		}
	})
}
