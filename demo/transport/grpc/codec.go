package grpc

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that is extended
	"google.golang.org/grpc/mem"
)

// encoded is a message as it is on the wire. So a frame for many clients is encoded once, and what clients send is
// decoded, and refused, as on every other transport.
type encoded []byte

// codec passes on what is encoded.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if data, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(data)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if into, ok := v.(*encoded); ok {
		*into = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
