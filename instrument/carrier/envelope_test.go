package carrier_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/instrument/carrier"
)

// enveloped is all that an Envelope tells.
type enveloped struct {
	Payload   string
	Published time.Time
	Fields    fields
	Err       error
}

func parse(e *carrier.Envelope, data string) enveloped {
	payload, err := e.Parse([]byte(data))
	return enveloped{string(payload), e.Published, contents(e), err}
}

func TestEnvelopeParse(t *testing.T) {
	at := time.UnixMicro(1767366245123456)
	long := strings.Repeat("x", 512)
	plain := func(data string) enveloped { return enveloped{Payload: data, Fields: fields{}} }
	malformed := func(data string) enveloped {
		return enveloped{Payload: data, Fields: fields{}, Err: carrier.ErrEnvelope}
	}
	tests := map[string]struct {
		data string
		want enveloped
	}{
		"all": {"sockscope/1 1767366245123456 " + parent + " " + state + "\npayload\n",
			enveloped{"payload\n", at, fields{"traceparent": parent, "tracestate": state}, nil}},
		"no state": {"sockscope/1 1767366245123456 " + parent + "\npayload",
			enveloped{"payload", at, fields{"traceparent": parent}, nil}},
		"no context": {"sockscope/1 1767366245123456\npayload", enveloped{"payload", at, fields{}, nil}},
		"no time":    {"sockscope/1 0 x\npayload", enveloped{"payload", time.Time{}, fields{"traceparent": "x"}, nil}},
		"no payload": {"sockscope/1 0\n", enveloped{"", time.Time{}, fields{}, nil}},
		"twice":      {"sockscope/1 0\nsockscope/1 0\n", enveloped{"sockscope/1 0\n", time.Time{}, fields{}, nil}},
		"binary":     {"sockscope/1 0\n\x00\xff\n\n", enveloped{"\x00\xff\n\n", time.Time{}, fields{}, nil}},
		"spacious state": {"sockscope/1 0 x a=b c=d\n",
			enveloped{"", time.Time{}, fields{"traceparent": "x", "tracestate": "a=b c=d"}, nil}},
		"longest": {"sockscope/1 999999999999999999 " + long + " " + long + "\n",
			enveloped{"", time.UnixMicro(999999999999999999), fields{"traceparent": long, "tracestate": long}, nil}},

		"plain":                   {`{"type":"message"}`, plain(`{"type":"message"}`)},
		"nothing":                 {"", plain("")},
		"nearly an envelope":      {"sockscope", plain("sockscope")},
		"another version":         {"sockscope/2 0\npayload", malformed("sockscope/2 0\npayload")},
		"only the magic":          {"sockscope/1 ", malformed("sockscope/1 ")},
		"no end of the line":      {"sockscope/1 0", malformed("sockscope/1 0")},
		"no digits":               {"sockscope/1 \npayload", malformed("sockscope/1 \npayload")},
		"no number":               {"sockscope/1 -1\npayload", malformed("sockscope/1 -1\npayload")},
		"no number, but a parent": {"sockscope/1 -1 x\n", malformed("sockscope/1 -1 x\n")},
		"too many digits":         {"sockscope/1 1000000000000000000\n", malformed("sockscope/1 1000000000000000000\n")},
		"empty parent":            {"sockscope/1 0 \n", malformed("sockscope/1 0 \n")},
		"empty state":             {"sockscope/1 0 x \n", malformed("sockscope/1 0 x \n")},
		"parent not printable":    {"sockscope/1 0 \x7f\n", malformed("sockscope/1 0 \x7f\n")},
		"state not printable":     {"sockscope/1 0 x \t\n", malformed("sockscope/1 0 x \t\n")},
		"parent too long":         {"sockscope/1 0 " + long + "x\n", malformed("sockscope/1 0 " + long + "x\n")},
		"state too long":          {"sockscope/1 0 x " + long + "x\n", malformed("sockscope/1 0 x " + long + "x\n")},
	}
	var e carrier.Envelope
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parse(&e, tc.data), cmpopts.EquateErrors()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEnvelopeAppend(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 123456789, time.UTC)
	tests := map[string]struct {
		published time.Time
		set       []string
		want      string
	}{
		"all": {at, []string{"tracestate", state, "traceparent", parent},
			"sockscope/1 1767366245123456 " + parent + " " + state + "\npayload"},
		"no state": {at, []string{"traceparent", parent},
			"sockscope/1 1767366245123456 " + parent + "\npayload"},
		"no context":             {at, nil, "sockscope/1 1767366245123456\npayload"},
		"zero":                   {time.Time{}, nil, "sockscope/1 0\npayload"},
		"before 1970":            {time.Unix(-1, 0), nil, "sockscope/1 0\npayload"},
		"after all time":         {time.UnixMicro(math.MaxInt64), nil, "sockscope/1 0\npayload"},
		"a state without parent": {at, []string{"tracestate", state}, "sockscope/1 1767366245123456\npayload"},
		"what breaks the line": {at, []string{"traceparent", "x\n", "tracestate", "x\ny"},
			"sockscope/1 1767366245123456\npayload"},
		"what breaks the fields": {at, []string{"traceparent", "x y"}, "sockscope/1 1767366245123456\npayload"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := carrier.Envelope{Published: tc.published}
			for i := 0; i < len(tc.set); i += 2 {
				e.Set(tc.set[i], tc.set[i+1])
			}
			if diff := cmp.Diff("before "+tc.want, string(e.Append([]byte("before "), []byte("payload")))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestEnvelopeForwarded passes a message on as it came.
func TestEnvelopeForwarded(t *testing.T) {
	const data = "sockscope/1 1767366245123456 " + parent + " " + state + "\npayload"
	var e carrier.Envelope
	payload, err := e.Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(data, string(e.Append(nil, payload))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	e.Set("traceparent", other)
	if diff := cmp.Diff("sockscope/1 1767366245123456 "+other+"\npayload", string(e.Append(nil, payload))); diff != "" {
		t.Errorf("after Set, -want +got:\n%s", diff)
	}
}
