package carrier_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument/carrier"
)

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	other  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	state  = `rojo=00f067aa0ba902b7,congo=t61rcWkgMzE`
)

// message is what all carriers of a document have in common.
type message interface {
	propagation.TextMapCarrier
	Reset(payload []byte)
	Bytes() []byte
}

// contents returns all that a carrier has.
func contents(c propagation.TextMapCarrier) map[string]string {
	all := map[string]string{}
	for _, key := range c.Keys() {
		all[key] = c.Get(key)
	}
	return all
}

type fields = map[string]string

func TestJSONGet(t *testing.T) {
	both := fields{"traceparent": parent, "tracestate": state}
	long := strings.Repeat("x", 512)
	deep := 30_000
	tests := map[string]struct {
		payload string
		want    fields
	}{
		"both":         {`{"traceparent":"` + parent + `","tracestate":"` + state + `"}`, both},
		"in any order": {`{"tracestate":"` + state + `","type":"message","traceparent":"` + parent + `"}`, both},
		"parent only":  {`{"type":"message","traceparent":"` + parent + `"}`, fields{"traceparent": parent}},
		"behind all values": {`{"a":{"b":[1,"]}",{"c":{}}]},"d":"\\\"","e":-1.5e3,"f":null,"traceparent":"x"}`,
			fields{"traceparent": "x"}},
		"space": {" \t\r\n{ \"a\" : [ 1 , 2 ] \n,\t\"traceparent\" \r: \"x\" } ",
			fields{"traceparent": "x"}},
		"escaped name":       {`{"tr\u0061ceparen\u0074":"x"}`, fields{"traceparent": "x"}},
		"escaped value":      {`{"traceparent":"\u0078\/\"\\"}`, fields{"traceparent": `x/"\`}},
		"escapes of space":   {`{"traceparent":"\n","tracestate":"\u0000"}`, fields{}},
		"first of several":   {`{"traceparent":"x","traceparent":"y"}`, fields{"traceparent": "x"}},
		"first is no string": {`{"traceparent":null,"traceparent":"y"}`, fields{}},
		"number":             {`{"traceparent":1}`, fields{}},
		"object":             {`{"traceparent":{"traceparent":"x"}}`, fields{}},
		"nested":             {`{"payload":{"traceparent":"x"},"list":[{"traceparent":"x"}]}`, fields{}},
		"other case":         {`{"Traceparent":"x"}`, fields{}},
		"empty":              {`{"traceparent":"","tracestate":""}`, fields{}},
		"longest": {`{"traceparent":"` + long + `","tracestate":"` + long + `"}`,
			fields{"traceparent": long, "tracestate": long}},
		"too long": {`{"traceparent":"` + long + `x","tracestate":"` + long + `x"}`, fields{}},
		"longest, escaped": {`{"traceparent":"` + strings.Repeat(`\u0078`, 512) + `"}`,
			fields{"traceparent": long}},
		"space in a state": {`{"traceparent":"x","tracestate":"a=b c"}`,
			fields{"traceparent": "x", "tracestate": "a=b c"}},
		"space in a parent": {`{"traceparent":"x y"}`, fields{}},
		"not ASCII":         {`{"traceparent":"ü","tracestate":"\u00fc"}`, fields{}},
		"not UTF-8": {"{\"\xff\":\"\xff\",\"traceparent\":\"\xff\",\"tracestate\":\"x\"}",
			fields{"tracestate": "x"}},
		"not ASCII, escaped":   {`{"traceparent":"\u0178","tracestate":"\u7800"}`, fields{}},
		"surrogates":           {`{"\ud83d\ude00":1,"traceparent":"\ud83d\ude00"}`, fields{}},
		"array":                {`[{"traceparent":"x"}]`, fields{}},
		"string":               {`"traceparent"`, fields{}},
		"nothing":              {``, fields{}},
		"cut off in a value":   {`{"traceparent":"x`, fields{}},
		"cut off in an escape": {`{"traceparent":"\`, fields{}},
		"cut off behind one":   {`{"traceparent":"x","tracestate"`, fields{"traceparent": "x"}},
		"no value":             {`{"a":,"traceparent":"x"}`, fields{}},
		"no comma":             {`{"a":1 "traceparent":"x"}`, fields{}},
		"leading comma":        {`{,"traceparent":"x"}`, fields{}},
		"bad hexadecimal":      {`{"traceparent":"\u007g","tracestate":"\u00/0"}`, fields{}},
		"short hexadecimal":    {`{"traceparent":"\u007","tracestate":"\u"}`, fields{}},
		"at the end of the scan": {`{"a":"` + strings.Repeat("x", 64<<10-25) + `","traceparent":"x"}`,
			fields{"traceparent": "x"}},
		"beyond the scan": {`{"a":"` + strings.Repeat("x", 64<<10-24) + `","traceparent":"x"}`, fields{}},
		"deep": {`{"a":` + strings.Repeat(`[`, deep) + strings.Repeat(`]`, deep) + `,"traceparent":"x"}`,
			fields{"traceparent": "x"}},
		"deep, never closed": {`{"a":` + strings.Repeat(`{"a":[`, deep) + `,"traceparent":"x"}`, fields{}},
	}
	var c carrier.JSON // one for all, as a connection has
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c.Reset([]byte(tc.payload))
			if diff := cmp.Diff(tc.want, contents(&c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := c.Get("type"); got != "" {
				t.Errorf("%q for a key that is not of the trace context", got)
			}
		})
	}
}

func TestJSONBytes(t *testing.T) {
	tests := map[string]struct {
		payload string
		set     []string // keys and values
		want    string
	}{
		"into an empty object": {`{}`, []string{"traceparent", "x"}, `{"traceparent":"x"}`},
		"both": {`{"a":1}`, []string{"tracestate", "s=1", "traceparent", "x"},
			`{"traceparent":"x","tracestate":"s=1","a":1}`},
		"the rest as it was": {` { "b" : 1e2,"b":2 , "ü":"\u00fc" } `, []string{"traceparent", "x"},
			` {"traceparent":"x", "b" : 1e2,"b":2 , "ü":"\u00fc" } `},
		"instead of the first": {`{"traceparent":"old","a":1}`, []string{"traceparent", "x"},
			`{"traceparent":"x","a":1}`},
		"instead of the last": {`{"a":1,"tracestate":null,"traceparent":"old"}`, []string{"traceparent", "x"},
			`{"traceparent":"x","a":1}`},
		"instead of all": {`{"traceparent":1,"a":1,"traceparent":[2]}`, []string{"traceparent", "x"},
			`{"traceparent":"x","a":1}`},
		"instead of an escaped": {`{"\u0074raceparent":"old"}`, []string{"traceparent", "x"}, `{"traceparent":"x"}`},
		"nested ones stay": {`{"a":{"traceparent":"old"}}`, []string{"traceparent", "x"},
			`{"traceparent":"x","a":{"traceparent":"old"}}`},
		"the last one set": {`{}`, []string{"traceparent", "x", "traceparent", "y"}, `{"traceparent":"y"}`},
		"removed": {`{"traceparent":"old","a":1,"tracestate":"old"}`, []string{"traceparent", ""},
			`{"a":1}`},
		"a state without parent": {`{"tracestate":"old","a":1}`, []string{"tracestate", "s=1"}, `{"a":1}`},
		"escaped": {`{}`, []string{"tracestate", `s="\`, "traceparent", "x"},
			`{"traceparent":"x","tracestate":"s=\"\\"}`},
		"nothing set": {`{"traceparent":"old"}`, nil, `{"traceparent":"old"}`},
		"other keys":  {`{"traceparent":"old"}`, []string{"baggage", "a=b"}, `{"traceparent":"old"}`},
		"bad values": {`{"traceparent":"old"}`,
			[]string{"traceparent", "x y", "traceparent", "ü", "traceparent", "\n", "tracestate", strings.Repeat("x", 513)},
			`{"traceparent":"old"}`},
		"beyond what is searched": {`{"a":"` + strings.Repeat("x", 64<<10) + `","traceparent":"old"}`,
			[]string{"traceparent", "x"},
			`{"traceparent":"x","a":"` + strings.Repeat("x", 64<<10) + `"}`},
		"array":         {`[{}]`, []string{"traceparent", "x"}, `[{}]`},
		"text":          {`hello`, []string{"traceparent", "x"}, `hello`},
		"nothing":       {``, []string{"traceparent", "x"}, ``},
		"two objects":   {`{"a":1}{"b":2}`, []string{"traceparent", "x"}, `{"a":1}{"b":2}`},
		"cut off":       {`{"a":1`, []string{"traceparent", "x"}, `{"a":1`},
		"no value":      {`{"a":}`, []string{"traceparent", "x"}, `{"a":}`},
		"comma at last": {`{"a":1,}`, []string{"traceparent", "x"}, `{"a":1,}`},
	}
	var c carrier.JSON
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			payload := []byte(tc.payload)
			c.Reset(payload)
			for i := 0; i < len(tc.set); i += 2 {
				c.Set(tc.set[i], tc.set[i+1])
			}
			for range 2 {
				if diff := cmp.Diff(tc.want, string(c.Bytes())); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
			if string(payload) != tc.payload {
				t.Errorf("the payload itself has become %s", payload)
			}
		})
	}
}

// TestSetAfterGet replaces a context that was read: nothing may be left of it.
func TestSetAfterGet(t *testing.T) {
	payload := []byte(`{"method":"m","traceparent":"` + parent + `","tracestate":"` + state +
		`","params":{"_meta":{"traceparent":"` + parent + `","tracestate":"` + state + `"}}}`)
	for name, c := range map[string]message{"JSON": &carrier.JSON{}, "JSONRPC": &carrier.JSONRPC{}} {
		t.Run(name, func(t *testing.T) {
			c.Reset(payload)
			if diff := cmp.Diff(fields{"traceparent": parent, "tracestate": state}, contents(c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			c.Set("traceparent", other)
			want := fields{"traceparent": other}
			if diff := cmp.Diff(want, contents(c)); diff != "" {
				t.Errorf("after Set, -want +got:\n%s", diff)
			}
			c.Reset(c.Bytes())
			if diff := cmp.Diff(want, contents(c)); diff != "" {
				t.Errorf("after Bytes, -want +got:\n%s", diff)
			}
		})
	}
}
