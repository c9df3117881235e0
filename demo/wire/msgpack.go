package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Both encodings hold the same objects, so MessagePack is translated from and to JSON: there is one strict decoder, and
// a frame for many recipients is translated once.

// toMessagePack translates what this package has encoded.
func toMessagePack(data []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("translate a frame to MessagePack: %w", err)
	}
	var out bytes.Buffer
	enc := msgpack.NewEncoder(&out)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(numbers(v)); err != nil {
		return nil, fmt.Errorf("translate a frame to MessagePack: %w", err)
	}
	return out.Bytes(), nil
}

// numbers replaces numbers in their JSON form by integers where they are, by floats otherwise.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // the decoder has checked it
		return f
	}
	return v
}

// DecodeMessagePack reads a frame from a client as Decode does.
func DecodeMessagePack(frame []byte) (Envelope, error) {
	r := bytes.NewReader(frame)
	d := unpacker{msgpack.NewDecoder(r), r}
	v, err := d.value(0)
	var p *RefusalError
	switch {
	case errors.As(err, &p):
		return Envelope{}, p
	case err != nil:
		return Envelope{}, problem(CodeBadMessagePack, "malformed MessagePack at byte %d", len(frame)-r.Len())
	case r.Len() > 0:
		return Envelope{}, problem(CodeBadMessagePack, "a frame has to be one MessagePack object with nothing after it")
	}
	if _, ok := v.(map[string]any); !ok {
		return Envelope{}, problem(CodeBadMessagePack, "a frame has to be a MessagePack object")
	}
	data, err := json.Marshal(v)
	if err != nil {
		return Envelope{}, problem(CodeBadMessagePack, "a value has no counterpart in JSON")
	}
	return Decode(data)
}

// maxDepth is how deep objects may lie in each other; the protocol has two.
const maxDepth = 8

// An unpacker reads values that have a counterpart in JSON. The library would make room for as many values as a frame
// says that it has; here none is made for more than it can have.
type unpacker struct {
	*msgpack.Decoder
	rest *bytes.Reader
}

func (u unpacker) value(depth int) (any, error) {
	code, err := u.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case depth > maxDepth:
		return nil, problem(CodeBadMessagePack, "objects lie deeper than %d in each other", maxDepth)
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		return u.object(depth)
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		return u.list(depth)
	case msgpcode.IsString(code):
		return u.text()
	case msgpcode.IsFixedNum(code), code >= msgpcode.Float && code <= msgpcode.Int64,
		code == msgpcode.Nil, code == msgpcode.True, code == msgpcode.False:
		return u.DecodeInterface()
	}
	return nil, problem(CodeBadMessagePack, "binary data and extensions have no place in a frame")
}

func (u unpacker) object(depth int) (map[string]any, error) {
	n, err := u.DecodeMapLen()
	if err != nil || n > u.rest.Len() {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	object := make(map[string]any, n)
	for range n {
		if code, err := u.PeekCode(); err != nil || !msgpcode.IsString(code) {
			return nil, errors.Join(err, problem(CodeBadMessagePack, "names of fields have to be strings"))
		}
		name, err := u.text()
		if err != nil {
			return nil, err
		}
		if object[name], err = u.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (u unpacker) list(depth int) ([]any, error) {
	n, err := u.DecodeArrayLen()
	if err != nil || n > u.rest.Len() {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = u.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (u unpacker) text() (string, error) {
	n, err := u.DecodeBytesLen()
	if err != nil || n > u.rest.Len() {
		return "", errors.Join(err, io.ErrUnexpectedEOF)
	}
	b := make([]byte, n)
	if err := u.ReadFull(b); err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", problem(CodeBadMessagePack, "strings have to be UTF-8")
	}
	return string(b), nil
}
