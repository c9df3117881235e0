package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
)

// EncodeRequest returns a client's message as a ChatRequest.
func EncodeRequest(env *Envelope) ([]byte, error) {
	fields := map[string]any{"messageId": env.MessageID, "timestamp": env.Timestamp}
	for name, value := range map[string]string{"traceparent": env.Traceparent, "tracestate": env.Tracestate} {
		if value != "" {
			fields[name] = value
		}
	}
	payload := env.Payload
	if payload == nil {
		payload = json.RawMessage("{}")
	}
	fields[string(env.Type)] = payload
	named, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("translate a %s to protobuf: %w", env.Type, err)
	}
	var request chatv1.ChatRequest
	if err := protojson.Unmarshal(named, &request); err != nil {
		return nil, fmt.Errorf("translate a %s to protobuf: %w", env.Type, err)
	}
	return proto.Marshal(&request)
}

// DecodeResponse returns a ChatResponse as the message that it is over other transports.
func DecodeResponse(data []byte) (Envelope, error) {
	var response chatv1.ChatResponse
	if err := proto.Unmarshal(data, &response); err != nil {
		return Envelope{}, fmt.Errorf("not a ChatResponse: %w", err)
	}
	frame := response.GetFrame()
	env := Envelope{
		MessageID: frame.GetMessageId(), Traceparent: frame.GetTraceparent(), Tracestate: frame.GetTracestate(), Seq: frame.GetSeq(),
	}
	if at := frame.GetTimestamp(); at.IsValid() {
		env.Timestamp = at.AsTime()
	}
	m := frame.ProtoReflect()
	if !m.IsValid() {
		return env, errors.New("a ChatResponse without a frame")
	}
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))
	if field == nil {
		return env, errors.New("a frame without a payload that is known")
	}
	payload, err := encode(objectOf(m.Get(field).Message()))
	if err != nil {
		return env, fmt.Errorf("translate a %s from protobuf: %w", field.Name(), err)
	}
	env.Type, env.Payload = Type(field.Name()), payload
	return env, nil
}

// objectOf returns a message as what JSON makes an object of. Unlike protojson it writes integers of 64 bits as
// numbers.
func objectOf(m protoreflect.Message) any {
	if at, ok := m.Interface().(*timestamppb.Timestamp); ok {
		return at.AsTime()
	}
	object := make(map[string]any)
	for field, value := range m.Range {
		object[field.JSONName()] = fieldOf(field, value)
	}
	return object
}

func fieldOf(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch {
	case field.IsMap():
		object := make(map[string]any)
		for key, value := range value.Map().Range {
			object[key.String()] = valueOf(field.MapValue(), value)
		}
		return object
	case field.IsList():
		list := value.List()
		all := make([]any, list.Len())
		for i := range all {
			all[i] = valueOf(field, list.Get(i))
		}
		return all
	}
	return valueOf(field, value)
}

func valueOf(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return objectOf(value.Message())
	case protoreflect.DoubleKind, protoreflect.FloatKind: // JSON has no infinities
		return json.RawMessage(strconv.FormatFloat(value.Float(), 'g', -1, 64))
	}
	return value.Interface()
}
