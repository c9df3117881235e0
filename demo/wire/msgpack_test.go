package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packed returns a client's frame in MessagePack.
func packed(t testing.TB, json string) []byte {
	t.Helper()
	data, err := toMessagePack([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Both encodings of a frame have to be read as the same envelope.
func TestMessagePackIsJSON(t *testing.T) {
	for _, json := range []string{
		frame("message", `{"room":"lobby","text":"hällo 👋"}`),
		frame("read", `{"room":"lobby","seq":9007199254740993}`),
		frame("join", `{"room":"lobby","after":0}`),
		frame("typing", `{"room":"lobby","typing":false}`),
	} {
		want, err := Decode([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeMessagePack(packed(t, json))
		if err != nil {
			t.Fatal(err)
		}
		if want.Type == TypeRead {
			r, err := got.Read()
			if err != nil || r.Seq != 9007199254740993 {
				t.Errorf("seq %d, %v: a large one has lost its value", r.Seq, err)
			}
		}
		want.Payload, got.Payload = nil, nil // fields are in another order
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-JSON +MessagePack):\n%s", json, diff)
		}
	}
}

func TestDecodeMessagePackRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		frame string // in hexadecimal
		code  Code
	}{
		"empty":                      {"", CodeBadMessagePack},
		"cut off":                    {"81a474797065", CodeBadMessagePack},
		"text":                       {hex.EncodeToString([]byte(`{"type":"ping"}`)), CodeBadMessagePack},
		"number":                     {"07", CodeBadMessagePack},
		"list":                       {"90", CodeBadMessagePack},
		"two objects":                {"8080", CodeBadMessagePack},
		"unknown field":              {"81a161c3", CodeBadJSON},
		"field without a text name":  {"8101c3", CodeBadMessagePack},
		"object of 4 billion fields": {"dfffffffff", CodeBadMessagePack},
		"list of 4 billion":          {"ddffffffff", CodeBadMessagePack},
		"string of 4 GB":             {"dbffffffff", CodeBadMessagePack},
		"binary data":                {"81a474797065c40161", CodeBadMessagePack},
		"extension":                  {"81a474797065d40161", CodeBadMessagePack},
		"not UTF-8":                  {"81a474797065a1ff", CodeBadMessagePack},
		"not a number":               {"81a474797065cb7ff8000000000001", CodeBadMessagePack},
		"deep":                       {strings.Repeat("91", 1000) + "c0", CodeBadMessagePack},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := hex.DecodeString(tc.frame)
			if err != nil {
				t.Fatal(err)
			}
			_, err = DecodeMessagePack(data)
			if got := codeOf(t, err); got != tc.code {
				t.Errorf("code %q (%v), want %q", got, err, tc.code)
			}
		})
	}
}

func TestTextDoesNotGrow(t *testing.T) {
	text := strings.Repeat("<&>", 1000)
	f, err := NewFrame(TypeMessage, "", MessagePayload{Room: "lobby", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(f.Data, []byte(text)) {
		t.Errorf("%d bytes of text become %s…", len(text), f.Data[:200])
	}
}

func TestFrameIsEncodedOnceInEachEncoding(t *testing.T) {
	f, err := NewFrame(TypeAck, id, AckPayload{Success: true, Seq: 3})
	if err != nil {
		t.Fatal(err)
	}
	prepared := 0
	prepare := func(data []byte) (any, error) { prepared++; return len(data), nil }
	for _, e := range []Encoding{JSON, MessagePack, JSON, MessagePack} {
		data, form, err := f.Encode(e, prepare)
		if err != nil || form != len(data) {
			t.Errorf("encoding %d: %v, %v: want what was prepared of %d bytes", e, form, err, len(data))
		}
		if isJSON := bytes.Equal(data, f.Data); isJSON != (e == JSON) {
			t.Errorf("encoding %d is JSON: %t", e, isJSON)
		}
	}
	if prepared != 2 {
		t.Errorf("prepared %d times, want once for each encoding", prepared)
	}
}

// FuzzDecodeMessagePack looks for frames that crash the decoder or are refused without a code.
func FuzzDecodeMessagePack(f *testing.F) {
	f.Add(packed(f, frame("message", `{"room":"lobby","text":"hi"}`)))
	f.Add(packed(f, frame("history", `{"room":"lobby","after":3,"limit":10}`)))
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := DecodeMessagePack(data)
		if codeOf(t, err) == "" {
			codeOf(t, decodePayload(&env))
		}
	})
}
