package lokireceiver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/collector/pdata/plog"
)

var (
	arrival = time.Unix(1_800_000_000, 0)
	sent    = time.Unix(1_700_000_000, 123_456_789)
)

const testLimit = 1 << 20

// sample is the push that TestDecode sends in both encodings: two services, one of them with structured metadata.
func sample() *push.PushRequest {
	return &push.PushRequest{Streams: []push.Stream{
		{
			Labels: `{service_name="chat", level="info", __internal__="x"}`,
			Entries: []push.Entry{
				{Timestamp: sent, Line: "connection opened", StructuredMetadata: push.LabelsAdapter{
					{Name: "trace_id", Value: "0af7651916cd43dd8448eb211c80319c"}, {Name: "connection_id", Value: "s1"},
				}},
				{Timestamp: sent.Add(time.Second), Line: ""},
			},
		},
		{Labels: `{service_name="none"}`},
		{Labels: `{service_name="feed"}`, Entries: []push.Entry{{Timestamp: sent, Line: "not UTF-8: \xff"}}},
	}}
}

const sampleJSON = `{"streams": [
	{"values": [
		["1700000000123456789", "connection opened", {"trace_id": "0af7651916cd43dd8448eb211c80319c", "connection_id": "s1"}],
		null,
		["1700000001123456789", ""]
	], "stream": {"service_name": "chat", "level": "info", "__internal__": "x"}},
	{"stream": {"service_name": "none"}, "values": null},
	{"stream": {"service_name": "feed"}, "values": [["1700000000123456789", "not UTF-8: \ud800"]]}
]}`

var sampleRecords = []string{
	`1700000000123456789 "connection opened" map[connection_id:s1 level:info service_name:chat trace_id:0af7651916cd43dd8448eb211c80319c]`,
	`1700000001123456789 "" map[level:info service_name:chat]`,
	"1700000000123456789 \"not UTF-8: \uFFFD\" map[service_name:feed]",
}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name   string
		decode func(*translation) error
	}{
		{"protobuf", func(out *translation) error { return decodeProtobuf(compressed(t, sample()), testLimit, out) }},
		{"JSON", func(out *translation) error { return decodeJSON([]byte(sampleJSON), out) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := newTranslation(arrival, true)
			if err := test.decode(out); err != nil {
				t.Fatal(err)
			}
			if out.logs.ResourceLogs().Len() != 1 || out.logs.ResourceLogs().At(0).Resource().Attributes().Len() != 0 {
				t.Error("the records are not under one empty resource, as contrib's are")
			}
			expectRecords(t, out.logs, sampleRecords)
			for _, record := range out.records.All() {
				if got := record.ObservedTimestamp().AsTime(); !got.Equal(arrival) {
					t.Errorf("observed at %v, want the time of arrival", got)
				}
			}
		})
	}
}

func TestTimeOfArrivalByDefault(t *testing.T) {
	for _, test := range []struct {
		name         string
		at           time.Time
		keepIncoming bool
		want         time.Time
	}{
		{"kept", sent, true, sent},
		{"not kept", sent, false, arrival},
		{"not given", time.Time{}, true, arrival},
	} {
		out := newTranslation(arrival, test.keepIncoming)
		if err := out.add(nil, entry{at: test.at}); err != nil {
			t.Fatal(err)
		}
		if got := out.records.At(0).Timestamp().AsTime(); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestDecodeRefusesMalformedJSON(t *testing.T) {
	for body, reason := range map[string]string{
		``:                        "not a push in JSON",
		`[]`:                      "not a push in JSON",
		`{"streams": [{"values":`: "not a push in JSON",
		`{"streams": [{"stream": {"a-b": "c"}, "values": []}]}`: "not a valid label name",
		`{}`:                    "no streams",
		`{"streams": []}`:       "no streams",
		values(`["1"]`):         "1 elements",
		values(`[1, "x"]`):      "entry's time",
		values(`["1.5", "x"]`):  "nanoseconds",
		values(`["-1", "x"]`):   "out of range",
		values(`["1", 2]`):      "entry's line",
		values(`["1", null]`):   "entry's line",
		values(`["1", "x", 1]`): "structured metadata",
		values(`["1", "x", ` + manyJSON(maxAttributes+1) + `]`): "at most",
	} {
		err := decodeJSON([]byte(body), newTranslation(arrival, true))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.60s: %v, want it to say %q", body, err, reason)
		}
	}
}

// TestDecodeTakesWhatClientsLog has winston-loki's labels: whatever values the application logs beside its message.
func TestDecodeTakesWhatClientsLog(t *testing.T) {
	out := newTranslation(arrival, true)
	const body = `{"streams": [{"stream": {"zero": 0, "no": false, "none": null, "list": [1, "a"]},
		"values": [["1700000000123456789", "x", {"attempt": 0, "ok": true}, "more"]]}]}`
	if err := decodeJSON([]byte(body), out); err != nil {
		t.Fatal(err)
	}
	expectRecords(t, out.logs, []string{
		`1700000000123456789 "x" map[attempt:0 list:[1, "a"] no:false none:null ok:true zero:0]`,
	})
}

func TestDecodeRefusesMalformedProtobuf(t *testing.T) {
	stream := func(labels string, e push.Entry) []byte {
		return compressed(t, &push.PushRequest{Streams: []push.Stream{{Labels: labels, Entries: []push.Entry{e}}}})
	}
	many := make(push.LabelsAdapter, maxAttributes+1)
	whole := snappyDecoded(t, compressed(t, sample()))
	for _, test := range []struct {
		name, reason string
		body         []byte
	}{
		{"not compressed", "snappy", whole},
		{"nothing", "no streams", compressed(t, &push.PushRequest{})},
		{"cut off", "protobuf", snappy.Encode(nil, whole[:len(whole)-3])},
		{"labels", "labels of a stream", stream(`{a=}`, push.Entry{Timestamp: sent})},
		{"no labels", "labels of a stream", stream("", push.Entry{Timestamp: sent})},
		{"before 1970", "out of range", stream("{}", push.Entry{Timestamp: time.Unix(-1, 0)})},
		{"after 2262", "out of range", stream("{}", push.Entry{Timestamp: time.Unix(1<<34, 0)})},
		{"much metadata", "structured metadata", stream("{}", push.Entry{Timestamp: sent, StructuredMetadata: many})},
		{"large when decompressed", "at most 1048576 are taken", snappy.Encode(nil, make([]byte, testLimit+1))},
	} {
		err := decodeProtobuf(test.body, testLimit, newTranslation(arrival, true))
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.reason)
		}
	}
}

func TestTranslationIsBounded(t *testing.T) {
	out := newTranslation(arrival, true)
	labels := []pair{{"a", strings.Repeat("x", 1<<20)}}
	var err error
	for n := 0; err == nil; n++ {
		if n > maxTranslated>>20 {
			t.Fatalf("%d entries with a label of 1 MiB were taken", n)
		}
		err = out.add(labels, entry{line: "x"})
	}
	if statusOf(err) != 413 {
		t.Errorf("status %d for %v, want 413", statusOf(err), err)
	}
}

// FuzzProtobuf compares with the generated code for Loki's messages: what both accept is the same.
func FuzzProtobuf(f *testing.F) {
	f.Add(snappyDecoded(f, compressed(f, sample())))
	f.Add([]byte{0x0a, 0x04, 0x12, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, message []byte) {
		out := newTranslation(arrival, true)
		if decodeProtobuf(snappy.Encode(nil, message), testLimit, out) != nil {
			return
		}
		var reference push.PushRequest
		if reference.Unmarshal(message) != nil {
			t.Skip("we are more tolerant here")
		}
		var want []string
		for _, stream := range reference.Streams {
			for _, e := range stream.Entries {
				want = append(want, valid(e.Line))
			}
		}
		if got := lines(out.logs); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("lines %q, want %q", got, want)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(sampleJSON))
	f.Add([]byte(values(`["1", "x", {"a": "b"}]`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		out := newTranslation(arrival, true)
		if decodeJSON(body, out) != nil {
			return
		}
		if !json.Valid(body) {
			t.Errorf("%q was accepted", body)
		}
		if out.size > maxTranslated || out.records.Len() > len(body) {
			t.Errorf("%d bytes became %d records of %d bytes", len(body), out.records.Len(), out.size)
		}
	})
}

func compressed(t testing.TB, request *push.PushRequest) []byte {
	t.Helper()
	message, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, message)
}

func snappyDecoded(t testing.TB, body []byte) []byte {
	t.Helper()
	message, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// values is a JSON push of one stream with the given entries.
func values(entries string) string {
	return `{"streams": [{"stream": {"a": "b"}, "values": [` + entries + `]}]}`
}

func manyJSON(n int) string {
	set := map[string]string{}
	for i := range n {
		set[fmt.Sprint("k", i)] = "v"
	}
	text, _ := json.Marshal(set) // a map of strings always has a JSON form
	return string(text)
}

func lines(logs plog.Logs) []string {
	var all []string
	for _, record := range logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		all = append(all, record.Body().Str())
	}
	return all
}

func expectRecords(t *testing.T, logs plog.Logs, want []string) {
	t.Helper()
	records := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	if records.Len() != len(want) {
		t.Fatalf("%d records, want %d", records.Len(), len(want))
	}
	for i, record := range records.All() {
		got := fmt.Sprintf("%d %q %v", record.Timestamp(), record.Body().Str(), record.Attributes().AsRaw())
		if got != want[i] {
			t.Errorf("record %d is\n%s, want\n%s", i, got, want[i])
		}
	}
}
