package wire

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
)

// Protobuf holds the same objects as JSON, except that the field that holds the payload says its type. So a frame is
// translated from JSON by name, once for all of its recipients.

// toProtobuf translates what this package has encoded, to a ChatResponse. A SubscribeMessagesResponse is the same on
// the wire.
func toProtobuf(data []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	var typ string
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("translate a frame to protobuf: %w", err)
	}
	if err := json.Unmarshal(fields["type"], &typ); err != nil {
		return nil, fmt.Errorf("translate a frame to protobuf: %w", err)
	}
	payload, ok := fields["payload"]
	if !ok {
		payload = json.RawMessage("{}")
	}
	delete(fields, "type")
	delete(fields, "payload")
	fields[typ] = payload
	named, err := json.Marshal(map[string]any{"frame": fields})
	if err != nil {
		return nil, fmt.Errorf("translate a frame to protobuf: %w", err)
	}
	var response chatv1.ChatResponse
	if err := protojson.Unmarshal(named, &response); err != nil {
		return nil, fmt.Errorf("translate a %s to protobuf: %w", typ, err)
	}
	return proto.Marshal(&response)
}

// DecodeProtobuf reads a ChatRequest from a client as Decode does.
func DecodeProtobuf(data []byte) (Envelope, error) {
	var request chatv1.ChatRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return Envelope{}, problem(CodeBadProtobuf, "that is no ChatRequest")
	}
	typ, payload := payloadOf(&request)
	env := Envelope{
		Type: typ, MessageID: request.GetMessageId(), Traceparent: request.GetTraceparent(), Tracestate: request.GetTracestate(),
	}
	if at := request.GetTimestamp(); at.IsValid() {
		env.Timestamp = at.AsTime()
	}
	if payload != nil {
		encoded, err := encode(payload)
		if err != nil {
			return Envelope{}, problem(CodeBadProtobuf, "a value has no counterpart in JSON")
		}
		env.Payload = encoded
	}
	return checked(env)
}

// payloadOf returns what a request asks for, nothing if that is missing or not known.
func payloadOf(request *chatv1.ChatRequest) (Type, any) {
	switch p := request.GetPayload().(type) {
	case *chatv1.ChatRequest_Auth:
		return TypeAuth, AuthPayload{Token: p.Auth.GetToken()}
	case *chatv1.ChatRequest_Join:
		return TypeJoin, JoinPayload{Room: p.Join.GetRoom(), After: p.Join.After}
	case *chatv1.ChatRequest_Leave:
		return TypeLeave, RoomPayload{Room: p.Leave.GetRoom()}
	case *chatv1.ChatRequest_Message:
		m := p.Message
		return TypeMessage, MessagePayload{Room: m.GetRoom(), Text: m.GetText(), SavedID: m.GetSavedId(), From: m.GetFrom()}
	case *chatv1.ChatRequest_Typing:
		return TypeTyping, TypingPayload{Room: p.Typing.GetRoom(), Typing: p.Typing.GetTyping(), User: p.Typing.GetUser()}
	case *chatv1.ChatRequest_Read:
		return TypeRead, ReadPayload{Room: p.Read.GetRoom(), Seq: p.Read.GetSeq(), User: p.Read.GetUser()}
	case *chatv1.ChatRequest_History:
		return TypeHistory, HistoryRequest{Room: p.History.GetRoom(), After: p.History.After, Limit: int(p.History.GetLimit())}
	case *chatv1.ChatRequest_Subscribe:
		return TypeSubscribe, StreamPayload{Stream: p.Subscribe.GetStream()}
	case *chatv1.ChatRequest_Unsubscribe:
		return TypeUnsubscribe, StreamPayload{Stream: p.Unsubscribe.GetStream()}
	case *chatv1.ChatRequest_Notify:
		return TypeNotify, NotifyPayload{User: p.Notify.GetUser(), Text: p.Notify.GetText()}
	case *chatv1.ChatRequest_GameJoin:
		return TypeGameJoin, nil
	case *chatv1.ChatRequest_GameLeave:
		return TypeGameLeave, nil
	case *chatv1.ChatRequest_GameInput:
		return TypeGameInput, GameInputPayload{X: int(p.GameInput.GetX()), Y: int(p.GameInput.GetY()), Ack: p.GameInput.GetAck()}
	case *chatv1.ChatRequest_Ping:
		return TypePing, nil
	}
	return documentPayloadOf(request)
}

// documentPayloadOf is payloadOf for requests that are about a document.
func documentPayloadOf(request *chatv1.ChatRequest) (Type, any) {
	switch p := request.GetPayload().(type) {
	case *chatv1.ChatRequest_DocumentOpen:
		o := p.DocumentOpen
		return TypeDocumentOpen, DocumentOpenPayload{Document: o.GetDocument(), After: o.After, SavedID: o.GetSavedId()}
	case *chatv1.ChatRequest_DocumentClose:
		return TypeDocumentClose, DocumentClosePayload{Document: p.DocumentClose.GetDocument()}
	case *chatv1.ChatRequest_DocumentEdit:
		e := p.DocumentEdit
		payload := DocumentEditPayload{
			Document: e.GetDocument(), Version: e.GetVersion(), Base: e.GetBase(), SavedID: e.GetSavedId(), User: e.GetUser(),
		}
		for _, o := range e.GetOperations() {
			payload.Operations = append(payload.Operations, DocumentOperation{
				Retain: int(o.GetRetain()), Insert: o.GetInsert(), Delete: int(o.GetDelete()),
			})
		}
		return TypeDocumentEdit, payload
	case *chatv1.ChatRequest_DocumentCursor:
		c := p.DocumentCursor
		return TypeDocumentCursor, DocumentCursorPayload{
			Document: c.GetDocument(), Version: c.GetVersion(), Start: int(c.GetStart()), End: int(c.GetEnd()),
			Session: c.GetSession(), User: c.GetUser(), Gone: c.GetGone(),
		}
	}
	return "", nil
}
