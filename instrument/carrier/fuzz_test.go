package carrier_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/instrument/carrier"
)

const searched = 64 << 10

// A member is one of a JSON object, as package encoding/json reads it.
type member struct {
	Name  string
	Value string // compacted
}

// membersOf is the oracle: the members of a valid JSON object in their order, or false for anything else.
func membersOf(data []byte) (members []member, ok bool) {
	if !json.Valid(data) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, false
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, false
		}
		members = append(members, member{name.(string), compact.String()})
	}
	return members, true
}

// first returns the value of the first member of that name.
func first(members []member, name string) (value string, ok bool) {
	for _, m := range members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return "", false
}

// fieldsOf returns what a carrier should find in an object.
func fieldsOf(members []member) fields {
	found := fields{}
	for key, lowest := range map[string]rune{"traceparent": '!', "tracestate": ' '} {
		value, _ := first(members, key)
		var text string
		unfit := func(r rune) bool { return r < lowest || r > '~' }
		if !strings.HasPrefix(value, `"`) || json.Unmarshal([]byte(value), &text) != nil ||
			text == "" || len(text) > 512 || strings.ContainsFunc(text, unfit) {
			continue
		}
		found[key] = text
	}
	return found
}

// without returns the members that are not of the trace context.
func without(members []member) (rest []member) {
	for _, m := range members {
		if m.Name != "traceparent" && m.Name != "tracestate" {
			rest = append(rest, m)
		}
	}
	return rest
}

// inject makes c carry a context into payload and returns what it makes of it and the context as it should come out.
func inject(t *testing.T, c message, payload []byte, traceparent, tracestate string) (out []byte, want fields) {
	t.Helper()
	before := bytes.Clone(payload)
	c.Reset(payload)
	c.Set("tracestate", tracestate)
	c.Set("traceparent", traceparent)
	want, out = contents(c), c.Bytes()
	if !bytes.Equal(before, payload) {
		t.Fatalf("%q has become %q", before, payload)
	}
	if want["traceparent"] == "" {
		want = fields{}
	}
	return out, want
}

func addDocuments(f *testing.F) {
	for _, payload := range []string{
		`{"type":"message","traceparent":"` + parent + `","tracestate":"` + state + `","payload":{"text":"hi"}}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"traceparent":"` + parent + `"},"arguments":[1]},"id":1}`,
		`{"specversion":"1.0","type":"t","source":"/s","id":"1","traceparent":null,"data":{"traceparent":"x"}}`,
		` { "tr\u0061ceparent" : "\u0030\/\"" , "tracestate" : "a=b" , "traceparent" : [ ] } `,
		`{"method":"m","params":{"_meta":{"a":1,"traceparent":"x"}}}`,
		`{"method":"m","params":[]}`, `{"method":"m"}`, `{}`, `[]`, `"`, ``,
		`{"a":"\\","b":"\"","c":-1.5e+3,"d":[[[[{}]]]],"e":true}`, `{"a":1}{`, "{\"\xff\":\"\\ud800\"}", `{"a":1,}`,
	} {
		f.Add([]byte(payload), parent, state)
		f.Add([]byte(payload), "", `a="\`)
	}
}

// FuzzJSON compares what is found, and what becomes of a document, with what encoding/json makes of it.
func FuzzJSON(f *testing.F) {
	addDocuments(f)
	f.Fuzz(func(t *testing.T, payload []byte, traceparent, tracestate string) {
		var c carrier.JSON
		c.Reset(payload)
		found := contents(&c)
		members, valid := membersOf(payload)
		if valid && len(payload) <= searched {
			if diff := cmp.Diff(fieldsOf(members), found); diff != "" {
				t.Errorf("%q, -want +got:\n%s", payload, diff)
			}
		}

		out, want := inject(t, &c, payload, traceparent, tracestate)
		if !valid || len(contents(&c)) == 0 && bytes.Equal(out, payload) {
			return
		}
		got, ok := membersOf(out)
		if !ok {
			t.Fatalf("%q has become %q", payload, out)
		}
		if diff := cmp.Diff(without(members), without(got)); diff != "" {
			t.Errorf("the rest of %q has changed, -want +got:\n%s", payload, diff)
		}
		c.Reset(out)
		if diff := cmp.Diff(want, contents(&c)); diff != "" {
			t.Errorf("%q, -want +got:\n%s", out, diff)
		}
		if again, _ := inject(t, &c, out, traceparent, tracestate); !bytes.Equal(again, out) {
			t.Errorf("%q has become %q the second time", out, again)
		}
	})
}

// FuzzJSONRPC does the same for params._meta.
func FuzzJSONRPC(f *testing.F) {
	addDocuments(f)
	f.Fuzz(func(t *testing.T, payload []byte, traceparent, tracestate string) {
		var c carrier.JSONRPC
		c.Reset(payload)
		found := contents(&c)
		before, valid := callOf(payload)
		if valid && len(payload) <= searched {
			if diff := cmp.Diff(fieldsOf(before.Meta), found); diff != "" {
				t.Errorf("%q, -want +got:\n%s", payload, diff)
			}
		}

		out, want := inject(t, &c, payload, traceparent, tracestate)
		if !valid {
			return
		}
		if !before.Place {
			if !bytes.Equal(out, payload) {
				t.Errorf("%q has no place for it and has become %q", payload, out)
			}
			return
		}
		after, ok := callOf(out)
		if !ok {
			t.Fatalf("%q has become %q", payload, out)
		}
		if diff := cmp.Diff(before.rest(), after.rest()); diff != "" {
			t.Errorf("the rest of %q has changed, -want +got:\n%s", payload, diff)
		}
		if len(want) == 0 { // nothing that could be set, or all taken out
			return
		}
		if diff := cmp.Diff(want, fieldsOf(after.Meta)); diff != "" {
			t.Errorf("%q, -want +got:\n%s", out, diff)
		}
	})
}

// A call is a JSON-RPC message as package encoding/json reads it.
type call struct {
	Message, Params, Meta []member
	Place                 bool // for trace context
}

func callOf(data []byte) (c call, ok bool) {
	if c.Message, ok = membersOf(data); !ok {
		return call{}, false
	}
	_, method := first(c.Message, "method")
	params, hasParams := first(c.Message, "params")
	c.Params, ok = membersOf([]byte(params))
	c.Place = method && (ok || !hasParams)
	if meta, hasMeta := first(c.Params, "_meta"); hasMeta {
		c.Meta, ok = membersOf([]byte(meta))
		c.Place = method && ok
	}
	return c, true
}

// rest returns what of the call isn't trace context, nor was made to hold it.
func (c call) rest() call {
	c.Meta = without(c.Meta)
	c.Params = withoutFirst(c.Params, "_meta")
	c.Message = withoutFirst(c.Message, "params")
	return c
}

func withoutFirst(members []member, name string) (rest []member) {
	for i, m := range members {
		if m.Name == name {
			return append(rest, members[i+1:]...)
		}
		rest = append(rest, m)
	}
	return rest
}

// FuzzEnvelope puts anything into an envelope and wants it back.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"type":"message"}`), int64(1767366245123456), parent, state)
	f.Add([]byte("sockscope/1 0\npayload"), int64(0), "", "")
	f.Add([]byte("\n\x00\xff"), int64(-1), "x y", "a=b c")
	f.Fuzz(func(t *testing.T, payload []byte, published int64, traceparent, tracestate string) {
		sent := carrier.Envelope{Published: time.UnixMicro(published)}
		sent.Set("tracestate", tracestate)
		sent.Set("traceparent", traceparent)
		want := enveloped{Payload: string(payload), Fields: contents(&sent)}
		if want.Fields["traceparent"] == "" {
			want.Fields = fields{}
		}
		if 0 < published && published < 1e18 {
			want.Published = sent.Published
		}
		var received carrier.Envelope
		if diff := cmp.Diff(want, parse(&received, string(sent.Append(nil, payload)))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// FuzzEnvelopeParse parses what anybody may publish.
func FuzzEnvelopeParse(f *testing.F) {
	f.Add([]byte(`{"type":"message"}`))
	f.Add([]byte("sockscope/1 1767366245123456 " + parent + " " + state + "\npayload"))
	f.Add([]byte("sockscope/1 0\n"))
	f.Add([]byte("sockscope/1 0 x \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e carrier.Envelope
		got := parse(&e, string(data))
		if !bytes.HasSuffix(data, []byte(got.Payload)) {
			t.Fatalf("%q is no part of %q", got.Payload, data)
		}
		if len(got.Payload) == len(data) {
			want := enveloped{Payload: string(data), Fields: fields{}}
			if bytes.HasPrefix(data, []byte("sockscope/")) {
				want.Err = carrier.ErrEnvelope
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("of a payload without an envelope, -want +got:\n%s", diff)
			}
			return
		}
		if !bytes.HasPrefix(data, []byte("sockscope/1 ")) {
			t.Errorf("%q was cut to %q", data, got.Payload)
		}
		if diff := cmp.Diff(got, parse(&e, string(e.Append(nil, []byte(got.Payload))))); diff != "" {
			t.Errorf("forwarded, -want +got:\n%s", diff)
		}
	})
}
