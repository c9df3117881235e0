package carrier_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/carrier"
)

func TestJSONRPCGet(t *testing.T) {
	huge := strings.Repeat("x", 64<<10)
	tests := map[string]struct {
		payload string
		want    fields
	}{
		"request": {`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_weather",` +
			`"_meta":{"progressToken":1,"traceparent":"` + parent + `","tracestate":"` + state + `"}}}`,
			fields{"traceparent": parent, "tracestate": state}},
		"escaped names": {`{"p\u0061rams":{"\u005fmeta":{"traceparent":"x"}}}`, fields{"traceparent": "x"}},
		"before what is huge": {`{"params":{"_meta":{"traceparent":"x"},"a":"` + huge + `"}}`,
			fields{"traceparent": "x"}},
		"behind what is huge": {`{"params":{"a":"` + huge + `","_meta":{"traceparent":"x"}}}`, fields{}},
		"first params":        {`{"params":{},"params":{"_meta":{"traceparent":"x"}}}`, fields{}},
		"first _meta":         {`{"params":{"_meta":{},"_meta":{"traceparent":"x"}}}`, fields{}},
		"at the top":          {`{"traceparent":"x","params":{"traceparent":"x"}}`, fields{}},
		"positional":          {`{"params":[{"_meta":{"traceparent":"x"}}]}`, fields{}},
		"no object":           {`{"params":{"_meta":"traceparent"}}`, fields{}},
		"response":            {`{"jsonrpc":"2.0","id":2,"result":{"_meta":{"traceparent":"x"}}}`, fields{}},
		"batch":               {`[{"params":{"_meta":{"traceparent":"x"}}}]`, fields{}},
		"deeper":              {`{"a":{"params":{"_meta":{"traceparent":"x"}}}}`, fields{}},
		"nothing":             {``, fields{}},
	}
	var c carrier.JSONRPC
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c.Reset([]byte(tc.payload))
			if diff := cmp.Diff(tc.want, contents(&c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestJSONRPCBytes(t *testing.T) {
	const set = `"traceparent":"x","tracestate":"s=1"`
	tests := map[string]struct{ payload, want string }{
		"no params":    {`{"method":"ping"}`, `{"params":{"_meta":{` + set + `}},"method":"ping"}`},
		"no _meta":     {`{"method":"m","params": {"a":1}}`, `{"method":"m","params": {"_meta":{` + set + `},"a":1}}`},
		"empty params": {`{"method":"m","params":{ }}`, `{"method":"m","params":{"_meta":{` + set + `}}}`},
		"_meta": {`{"params":{"_meta":{"b":2}},"method":"m"}`,
			`{"params":{"_meta":{` + set + `,"b":2}},"method":"m"}`},
		"_meta, later": {`{"method":"m","params":{"a":1,"_meta":{}}}`,
			`{"method":"m","params":{"a":1,"_meta":{` + set + `}}}`},
		"replaced": {`{"method":"m","params":{"_meta":{"traceparent":"y"}}}`,
			`{"method":"m","params":{"_meta":{` + set + `}}}`},
		"others stay": {`{"method":"m","traceparent":"y","params":{"traceparent":"y"}}`,
			`{"method":"m","traceparent":"y","params":{"_meta":{` + set + `},"traceparent":"y"}}`},
		"first params": {`{"method":"m","params":{},"params":[]}`,
			`{"method":"m","params":{"_meta":{` + set + `}},"params":[]}`},
		"positional":     {`{"method":"m","params":[1]}`, `{"method":"m","params":[1]}`},
		"null params":    {`{"method":"m","params":null}`, `{"method":"m","params":null}`},
		"null _meta":     {`{"method":"m","params":{"_meta":null}}`, `{"method":"m","params":{"_meta":null}}`},
		"response":       {`{"id":1,"result":{}}`, `{"id":1,"result":{}}`},
		"batch":          {`[{"method":"m"}]`, `[{"method":"m"}]`},
		"two calls":      {`{"method":"m"}{"method":"m"}`, `{"method":"m"}{"method":"m"}`},
		"cut off":        {`{"method":"m"`, `{"method":"m"`},
		"cut off behind": {`{"method":"m","params":{}`, `{"method":"m","params":{}`},
		"cut off below":  {`{"method":"m","params":{"a"}}`, `{"method":"m","params":{"a"}}`},
		"malformed":      {`{"method":"m","params":{"_meta":{1}}}`, `{"method":"m","params":{"_meta":{1}}}`},
		"nothing":        {``, ``},
	}
	var c carrier.JSONRPC
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c.Reset([]byte(tc.payload))
			c.Set("traceparent", "x")
			c.Set("tracestate", "s=1")
			if diff := cmp.Diff(tc.want, string(c.Bytes())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestJSONRPCUnset has nothing to put in.
func TestJSONRPCUnset(t *testing.T) {
	var c carrier.JSONRPC
	payload := `{"method":"m","params":{"_meta":{"traceparent":"x"}}}`
	c.Reset([]byte(payload))
	if diff := cmp.Diff(payload, string(c.Bytes())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestJSONRPCRemove takes a context out: no place is made for one that isn't there.
func TestJSONRPCRemove(t *testing.T) {
	var c carrier.JSONRPC
	for payload, want := range map[string]string{
		`{"method":"m","params":{"_meta":{"traceparent":"x","b":2}}}`: `{"method":"m","params":{"_meta":{"b":2}}}`,
		`{"method":"m","params":{"a":1}}`:                             `{"method":"m","params":{"a":1}}`,
		`{"method":"m"}`:                                              `{"method":"m"}`,
	} {
		c.Reset([]byte(payload))
		c.Set("traceparent", "")
		if diff := cmp.Diff(want, string(c.Bytes())); diff != "" {
			t.Errorf("%s, -want +got:\n%s", payload, diff)
		}
	}
}
