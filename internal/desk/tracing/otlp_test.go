package tracing

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/backend"
)

const (
	messageID   = "724e3b184d68acf94e746096135d877c"
	handshakeID = "02620e98b440366a1cf7026b2d76d885"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseID(t *testing.T) {
	tests := map[string]string{
		messageID:                          messageID,
		strings.ToUpper(messageID):         messageID,
		"":                                 "",
		messageID[1:]:                      "",
		messageID + "0":                    "",
		strings.Repeat("0", 32):            "",
		"../../../../../etc/passwd0000000": "",
		`724e3b184d68acf94e746096135d87"}`: "",
	}
	for in, want := range tests {
		if got, err := ParseID(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseID(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// TestDecodeReal reads what a real Jaeger 2.13.0 answered.
func TestDecodeReal(t *testing.T) {
	trace, err := decodeTrace(bytes.NewReader(fixture(t, "jaeger-trace.json")), messageID)
	if err != nil {
		t.Fatal(err)
	}
	rows := Waterfall(trace)
	type row struct {
		Depth                       int
		Name, Kind, Service, Status string
		Took                        time.Duration
	}
	var got []row
	for _, r := range rows {
		got = append(got, row{r.Depth, r.Name, r.Kind, r.Service, r.Status, r.Duration()})
	}
	want := []row{
		{0, "websocket.message message", "consumer", "sockscope-demo", "error", 48 * time.Millisecond},
		{1, "decode", "internal", "sockscope-demo", "", 900 * time.Microsecond},
		{1, "store.save", "client", "sockscope-demo", "error", 31 * time.Millisecond},
		{2, "INSERT messages", "server", "store", "", 22 * time.Millisecond},
		{1, "websocket.broadcast", "producer", "sockscope-demo", "", 11 * time.Millisecond},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waterfall (-want +got):\n%s", diff)
	}
	root := rows[0]
	if got := root.Attribute("websocket.message.size"); got != "512" {
		t.Errorf("size = %q, want 512", got)
	}
	if len(root.Links) != 1 || root.Links[0].TraceID != handshakeID {
		t.Errorf("links = %+v, want one to the handshake", root.Links)
	}
	if root.Offset != 0 || root.Width != 100 {
		t.Errorf("the root is drawn from %v, %v wide; want 0 and 100", root.Offset, root.Width)
	}
}

// TestDecodeForms reads the spellings that writers of OTLP JSON differ in.
func TestDecodeForms(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	const resource = `{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeSpans":[{"spans":[`
	span := func(members string) string { return resource + `{` + members + `}]}]}` }
	hexIDs := `"traceId":"` + id + `","spanId":"b7ad6b7169203331"`
	base64IDs := `"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE="`
	times := `"startTimeUnixNano":"1795315449000000000","endTimeUnixNano":1795315450000000000`
	want := Span{
		TraceID: id, ID: "b7ad6b7169203331", Name: "n", Kind: "consumer", Service: "s", Status: "error",
		Start: time.Unix(1795315449, 0).UTC(), End: time.Unix(1795315450, 0).UTC(),
		Resource: []Attribute{{"service.name", "s"}},
	}
	tests := map[string]string{
		"hexadecimal and numbers": `{"resourceSpans":[` + span(hexIDs+`,"name":"n",`+times+`,"kind":5,"status":{"code":2}`) + `]}`,
		"base64 and names":        `{"resourceSpans":[` + span(base64IDs+`,"name":"n",`+times+`,"kind":"SPAN_KIND_CONSUMER","status":{"code":"STATUS_CODE_ERROR"}`) + `]}`,
		"wrapped":                 `{"result":{"resourceSpans":[` + span(hexIDs+`,"name":"n",`+times+`,"kind":5,"status":{"code":2}`) + `]}}`,
		"streamed":                `{"result":{"resourceSpans":[]}}` + "\n" + `{"result":{"resourceSpans":[` + span(hexIDs+`,"name":"n",`+times+`,"kind":5,"status":{"code":2}`) + `]}}`,
		"another trace beside it": `{"resourceSpans":[` + span(`"traceId":"`+messageID+`","spanId":"b7ad6b7169203331"`) + `,` + span(hexIDs+`,"name":"n",`+times+`,"kind":5,"status":{"code":2}`) + `]}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			trace, err := decodeTrace(strings.NewReader(text), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Span{want}, trace.Spans); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeFailures(t *testing.T) {
	for text, want := range map[string]string{
		``:              backend.ErrNotFound.Error(),
		`{}`:            backend.ErrNotFound.Error(),
		`{"result":{}}`: backend.ErrNotFound.Error(),
		`{"result":`:    "not OTLP JSON",
		`<html>`:        "not OTLP JSON",
		`{"error":{"httpCode":500,"message":"disk"}}`: "error 500 in the middle of the answer: disk",
	} {
		_, err := decodeTrace(strings.NewReader(text), messageID)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
	if _, err := decodeTrace(strings.NewReader(`{}`), messageID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("error = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestValuesInWords(t *testing.T) {
	tests := map[string]string{
		`{"stringValue":"s"}`:   "s",
		`{"stringValue":""}`:    "",
		`{"boolValue":false}`:   "false",
		`{"intValue":"12"}`:     "12",
		`{"intValue":12}`:       "12",
		`{"doubleValue":0.5}`:   "0.5",
		`{"doubleValue":"NaN"}`: "NaN",
		`{"bytesValue":"AQI="}`: "AQI=",
		`{}`:                    "",
		`{"arrayValue":{"values":[{"intValue":1},{"stringValue":"b"}]}}`:          "[1, b]",
		`{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{}}}]}}`:      "{k: []}",
		strings.Repeat(`{"arrayValue":{"values":[`, 6) + strings.Repeat(`]}}`, 6): "[[[[[…]]]]]",
	}
	for text, want := range tests {
		var v otlpValue
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if got := v.words(0); got != want {
			t.Errorf("%s = %q, want %q", text, got, want)
		}
	}
}

func TestSpansAreBounded(t *testing.T) {
	spans := strings.TrimSuffix(strings.Repeat(`{"traceId":"`+messageID+`","spanId":"b7ad6b7169203331"},`, maxSpans+7), ",")
	trace, err := decodeTrace(strings.NewReader(`{"resourceSpans":[{"scopeSpans":[{"spans":[`+spans+`]}]}]}`), messageID)
	if err != nil || len(trace.Spans) != maxSpans || trace.More != 7 {
		t.Errorf("%d spans and %d more, %v; want %d and 7", len(trace.Spans), trace.More, err, maxSpans)
	}
}

// FuzzDecodeTrace looks whether any answer of Jaeger can make a waterfall that loses spans or leaves the page.
func FuzzDecodeTrace(f *testing.F) {
	f.Add(fixture(f, "jaeger-trace.json"))
	f.Add(fixture(f, "jaeger-handshake.json"))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"` + messageID + `","spanId":"AAAAAAAAAAE=","parentSpanId":"AAAAAAAAAAI=","startTimeUnixNano":"9223372036854775807"},{"traceId":"` + messageID + `","spanId":"AAAAAAAAAAI=","parentSpanId":"AAAAAAAAAAE=","endTimeUnixNano":-1}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := decodeTrace(bytes.NewReader(data), messageID)
		if err != nil {
			return
		}
		rows := Waterfall(trace)
		if len(rows) != len(trace.Spans) {
			t.Fatalf("%d rows for %d spans", len(rows), len(trace.Spans))
		}
		for _, r := range rows {
			if r.Offset < 0 || r.Width < minWidth || r.Offset+r.Width > 100.001 || r.Depth > maxDepth || r.Duration() < 0 {
				t.Fatalf("row %+v leaves the page", r)
			}
		}
	})
}

// TestWarnings has what Jaeger says about a span without an end.
func TestWarnings(t *testing.T) {
	trace, err := decodeTrace(strings.NewReader(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"`+messageID+`","spanId":"b7ad6b7169203331","attributes":[
		{"key":"a","value":{"intValue":"1"}},
		{"key":"@jaeger@warnings","value":{"arrayValue":{"values":[{"stringValue":"Negative duration detected"}]}}}]}]}]}]}`), messageID)
	if err != nil {
		t.Fatal(err)
	}
	if got := trace.Spans[0]; got.Warning != "Negative duration detected" || len(got.Attributes) != 1 || got.Attributes[0].Key != "a" {
		t.Errorf("warning %q, attributes %v", got.Warning, got.Attributes)
	}
}
