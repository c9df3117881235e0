package socketio

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/demo/wire"
)

// comparing compares values with all their fields.
var comparing = cmp.AllowUnexported(unit{}, place{})

func TestPayload(t *testing.T) {
	t.Parallel()
	got, err := parsePayload([]byte("3\x1e42[\"x\"]\x1ebAQID"))
	want := []unit{{data: []byte("3")}, {data: []byte(`42["x"]`)}, {binary: true, data: []byte{1, 2, 3}}}
	if diff := cmp.Diff(want, got, comparing); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{"", "3\x1e", "\x1e3", "3\x1e\x1e3", "bAQI", "b===="} {
		if got, err := parsePayload([]byte(body)); err == nil {
			t.Errorf("%q is accepted as %v", body, got)
		}
	}
}

// FuzzPayload reads any post: what is accepted is the same when it is written again.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"", "3", "3\x1e42[\"x\"]\x1ebAQID", "b", "\x1e", "b!"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		units, err := parsePayload(body)
		if err != nil {
			return
		}
		again, err := parsePayload(appendPayload(nil, units))
		if diff := cmp.Diff(units, again, comparing); diff != "" || err != nil {
			t.Errorf("%q, written again (%v):\n%s", body, err, diff)
		}
	})
}

func TestDecode(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	packed, err := packedPing(id)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		text   string
		pieces [][]byte
		typ    wire.Type
		id     string
		code   wire.Code
	}{
		"nothing given":       {text: `2["ping"]`, typ: wire.TypePing},
		"empty":               {text: `2["ping",{}]`, typ: wire.TypePing},
		"id":                  {text: `2["ping",{"messageId":"` + id + `"}]`, typ: wire.TypePing, id: id},
		"payload":             {text: `2["join",{"payload":{"room":"lobby","after":18446744073709551615}}]`, typ: wire.TypeJoin},
		"binary":              {text: `51-["ping",` + placeholder + `]`, pieces: [][]byte{packed}, typ: wire.TypePing, id: id},
		"same type":           {text: `2["ping",{"type":"ping"}]`, typ: wire.TypePing},
		"other type":          {text: `2["ping",{"type":"join"}]`, code: wire.CodeBadEnvelope},
		"other type, binary":  {text: `51-["join",` + placeholder + `]`, pieces: [][]byte{packed}, code: wire.CodeBadEnvelope},
		"no name":             {text: `2[]`, code: wire.CodeBadEnvelope},
		"a number for a name": {text: `2[17]`, code: wire.CodeBadEnvelope},
		"unknown name":        {text: `2["dance"]`, code: wire.CodeUnknownType},
		"server's name":       {text: `2["welcome"]`, code: wire.CodeUnknownType},
		"two arguments":       {text: `2["ping",{},{}]`, code: wire.CodeBadEnvelope},
		"no object":           {text: `2["ping",17]`, code: wire.CodeBadJSON},
		"null":                {text: `2["ping",null]`, code: wire.CodeBadJSON},
		"unknown field":       {text: `2["ping",{"color":"red"}]`, code: wire.CodeBadJSON},
		"malformed id":        {text: `2["ping",{"messageId":"17"}]`, code: wire.CodeBadEnvelope},
		"no attachment":       {text: `2["ping",` + placeholder + `]`, code: wire.CodeBadJSON},
		"attachment within":   {text: `51-["ping",{"payload":` + placeholder + `}]`, pieces: [][]byte{packed}, code: wire.CodeBadEnvelope},
		"nobody's attachment": {text: `51-["ping"]`, pieces: [][]byte{packed}, code: wire.CodeBadEnvelope},
		"two attachments":     {text: `52-["ping",` + placeholder + `]`, pieces: [][]byte{packed, packed}, code: wire.CodeBadEnvelope},
		"no MessagePack":      {text: `51-["ping",` + placeholder + `]`, pieces: [][]byte{{0xc1}}, code: wire.CodeBadMessagePack},
	} {
		p, err := packet.Parse([]byte(tc.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		env, err := decode(p, tc.pieces)
		var refused *wire.RefusalError
		errors.As(err, &refused)
		switch {
		case (err != nil) != (tc.code != "") || refused != nil && refused.Code != tc.code:
			t.Errorf("%s: %v, want %q", name, err, tc.code)
		case err == nil && (env.Type != tc.typ || tc.id != "" && env.MessageID != tc.id):
			t.Errorf("%s: %+v", name, env)
		case uuid.Validate(env.MessageID) != nil:
			t.Errorf("%s: there is no messageId to answer by", name)
		}
	}
}

func packedPing(id string) ([]byte, error) {
	f, err := wire.NewFrame(wire.TypePing, id, nil)
	if err != nil {
		return nil, err
	}
	data, _, err := f.Encode(wire.MessagePack, func([]byte) (any, error) { return nil, nil })
	return data, err
}

// FuzzDecode has a client say anything in an event: it is a message that the protocol knows, or refused with a code.
func FuzzDecode(f *testing.F) {
	packed, err := packedPing(uuid.NewString())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`2["ping"]`, `51-["ping",` + placeholder + `]`, `2["join",{"payload":{"room":"lobby"}}]`, `2[null,{}]`, `52-["x"]`} {
		f.Add([]byte(seed), packed)
	}
	f.Fuzz(func(t *testing.T, text, piece []byte) {
		p, err := packet.Parse(text)
		if err != nil || p.Kind != packet.Event && p.Kind != packet.BinaryEvent {
			return
		}
		pieces := make([][]byte, p.Attachments)
		for i := range pieces {
			pieces[i] = bytes.Clone(piece)
		}
		env, err := decode(p, pieces)
		var refused *wire.RefusalError
		if err != nil && !errors.As(err, &refused) || uuid.Validate(env.MessageID) != nil {
			t.Errorf("%q: %+v, %v", text, env, err)
		}
	})
}
