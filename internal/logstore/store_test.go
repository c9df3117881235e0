package logstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/sockscope/sockscope/internal/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var record = flag.Bool("record", false, "write anew what Loki answers, from the loki binary on PATH or in LOKI")

// recordings has what Loki 3.7.8 answered.
const recordings = "testdata/loki-3.7.8.json"

// recording is Loki's answers to questions about the records of a moment.
type recording struct {
	Moment  time.Time         `json:"moment"`
	Answers map[string]answer `json:"answers"` // by the question's query string
}

type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	otherID  = "5bf92f3577b34da6a3ce929d0e0e4736"
	spanID   = "00f067aa0ba902b7"
	hostile  = "we\"ird\\ {x=~`.+`} | name='\n' or \"\" != \u0000 <b>ü</b>"
	injected = `x" or trace_id!="`
)

// sent is a record as the Collector sends it to either store.
type sent struct {
	after                time.Duration // the moment
	service, level, line string
	trace, span          string
	attributes           map[string]string
}

func everything() []sent {
	return []sent{
		{0, "chat", "info", "connection opened", traceID, spanID, map[string]string{"connection_id": "c-1"}},
		{1, "chat", "error", `{"time":"x","level":"ERROR","msg":"message failed","service":"chat","trace_id":"` + traceID + `","span_id":"` + spanID + `","error":"store: timeout","n":0.5}`,
			traceID, spanID, map[string]string{"connection_id": "c-1", "error": "store: timeout"}},
		{time.Second, "feed", "warn", "slow consumer closed", traceID, "", nil},
		{2 * time.Second, "chat", "debug", "two\nlines \"and\" \\ ü \u0001", otherID, spanID, map[string]string{"user.name": hostile}},
		{3 * time.Second, hostile, "info", hostile, "", "", nil},
		{4 * time.Second, "chat", "", "nobody knows how bad this is", "", "", nil},
	}
}

// question is a query and the indexes of the records that answer it.
type question struct {
	Query
	want []int
}

// questions are about everything that a record of the contract has.
func questions(moment time.Time) map[string]question {
	whole := Query{Start: moment.Add(-time.Minute), End: moment.Add(time.Minute), Limit: 100}
	ask := func(change func(*Query)) Query {
		q := whole
		change(&q)
		return q
	}
	return map[string]question{
		"everything":            {whole, []int{0, 1, 2, 3, 4, 5}},
		"a trace":               {ask(func(q *Query) { q.TraceID = traceID }), []int{0, 1, 2}},
		"a service":             {ask(func(q *Query) { q.Service = "chat" }), []int{0, 1, 3, 5}},
		"a level":               {ask(func(q *Query) { q.Level = "info" }), []int{0, 4}},
		"all of them":           {ask(func(q *Query) { q.Service, q.Level, q.TraceID = "chat", "error", traceID }), []int{1}},
		"part of a service":     {ask(func(q *Query) { q.Service = "cha" }), nil},
		"the oldest":            {ask(func(q *Query) { q.Service, q.Limit = "chat", 2 }), []int{0, 1}},
		"from its own time on":  {ask(func(q *Query) { q.Start = moment.Add(1) }), []int{1, 2, 3, 4, 5}},
		"before the next":       {ask(func(q *Query) { q.End = moment.Add(time.Second) }), []int{0, 1}},
		"another time":          {ask(func(q *Query) { q.Start = moment.Add(10 * time.Second) }), nil},
		"a hostile service":     {ask(func(q *Query) { q.Service = hostile }), []int{4}},
		"an injected service":   {ask(func(q *Query) { q.Service = injected }), nil},
		"an injected level":     {ask(func(q *Query) { q.Level = injected }), nil},
		"an injected trace":     {ask(func(q *Query) { q.TraceID = injected }), nil},
		"a pipe":                {ask(func(q *Query) { q.TraceID = "x | delete trace_id" }), nil},
		"a backquote":           {ask(func(q *Query) { q.Service = "`" }), nil},
		"no UTF-8":              {ask(func(q *Query) { q.Service, q.TraceID = "\xff", "\xc3\x28" }), nil},
		"the newest":            {ask(func(q *Query) { q.Service, q.Limit, q.Newest = "chat", 2, true }), []int{3, 5}},
		"a connection":          {ask(func(q *Query) { q.ConnectionID = "c-1" }), []int{0, 1}},
		"an injected one":       {ask(func(q *Query) { q.ConnectionID = injected }), nil},
		"a word":                {ask(func(q *Query) { q.Words = "CONN" }), []int{0}},
		"a word of an error":    {ask(func(q *Query) { q.Words = "timeout" }), []int{1}},
		"two words":             {ask(func(q *Query) { q.Words = "bad knows" }), []int{5}},
		"two, one of them not":  {ask(func(q *Query) { q.Words = "bad timeout" }), nil},
		"words on two lines":    {ask(func(q *Query) { q.Words = "two \"AND\" \\" }), []int{3}},
		"an expression":         {ask(func(q *Query) { q.Words = ".*" }), nil},
		"a hostile word":        {ask(func(q *Query) { q.Words = "{x=~`.+`} (<b>" + injected + "\xff\x00{{.error}}" }), nil},
		"part of a hostile one": {ask(func(q *Query) { q.Words = "{x=~`.+`} <B>Ü</b>" }), []int{4}},
		"control characters":    {ask(func(q *Query) { q.TraceID = "\x00\x1b[31m\u2028" }), nil},
	}
}

// fieldQuestions are about fields that the application names.
func fieldQuestions(moment time.Time) map[string]question {
	ask := func(fields ...Field) Query {
		return Query{Start: moment.Add(-time.Minute), End: moment.Add(time.Minute), Limit: 100, Fields: fields}
	}
	return map[string]question{
		"a field":               {ask(Field{"connection_id", "c-1"}), []int{0, 1}},
		"part of a value":       {ask(Field{"connection_id", "c-"}), nil},
		"an injected value":     {ask(Field{"connection_id", injected}), nil},
		"a pipe in a value":     {ask(Field{"trace_id", "x | delete trace_id"}), nil},
		"control characters":    {ask(Field{"trace_id", "\x00\x1b[31m\u2028"}), nil},
		"two fields":            {ask(Field{"connection_id", "c-1"}, Field{"error", "store: timeout"}), []int{1}},
		"two, one of them not":  {ask(Field{"connection_id", "c-1"}, Field{"error", "no"}), nil},
		"two values of one":     {ask(Field{"connection_id", "c-1"}, Field{"connection_id", "c-2"}), nil},
		"a hostile value":       {ask(Field{"user.name", hostile}), []int{3}},
		"an injected name":      {ask(Field{`connection_id="c-1" or trace_id!`, "x"}), nil},
		"a name on two lines":   {ask(Field{"x\n| drop", "c-1"}), nil},
		"a name of a pipe":      {ask(Field{"x:* or *", "c-1"}), nil},
		"a digit":               {ask(Field{"9", "c-1"}), nil},
		"a name in no alphabet": {ask(Field{"\xff…", "c-1"}), nil},
	}
}

func wanted(moment time.Time, indexes []int) []Record {
	records := []Record{}
	for _, i := range indexes {
		s := everything()[i]
		r := Record{Time: moment.Add(s.after).UTC(), Level: s.level, Service: s.service, Message: s.line, TraceID: s.trace, SpanID: s.span}
		if i == 1 {
			r.Message = "message failed"
			r.Fields = append(r.Fields, Field{"n", "0.5"})
		}
		for k, v := range s.attributes {
			r.Fields = append(r.Fields, Field{k, v})
		}
		records = append(records, r)
	}
	return records
}

// check asks a store questions. Names of fields have dots or underscores, as the store likes.
func check(t *testing.T, store Store, moment time.Time, questions map[string]question) {
	t.Helper()
	for name, q := range questions {
		t.Run(name, func(t *testing.T) {
			got, err := store.Records(t.Context(), q.Query)
			if err != nil {
				t.Fatalf("%s: %v", store.URL(q.Query), err)
			}
			want := wanted(moment, q.want)
			for _, records := range [][]Record{got, want} {
				for i := range records {
					for f := range records[i].Fields {
						records[i].Fields[f].Key = strings.ReplaceAll(records[i].Fields[f].Key, ".", "_")
					}
					slices.SortFunc(records[i].Fields, func(a, b Field) int { return cmp.Compare(a.Key, b.Key) })
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestVictoriaLogs(t *testing.T) {
	address := freeAddress(t)
	run(t, "http://"+address+"/health", nil, tool.Path(t, "victoria-logs"),
		"-httpListenAddr="+address, "-storageDataPath="+t.TempDir(), "-memory.allowedBytes=32MiB")
	moment := time.Now().Add(-10 * time.Second)
	send(t, "http://"+address+"/insert/opentelemetry/v1/logs", moment)
	store := VictoriaLogs("http://"+address, transport(t))
	await(t, store, moment)
	check(t, store, moment, questions(moment))
	check(t, store, moment, fieldQuestions(moment))
	checkHistogram(t, store, moment)
}

// TestLoki asks a Loki that is installed.
func TestLoki(t *testing.T) {
	path, installed := tool.Installed(t, "loki")
	if !installed {
		return
	}
	address, grpc := freeAddress(t), freeAddress(t)
	settings, err := filepath.Abs("../../deploy/loki/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "http://"+address+"/ready", []string{
		"LOKI_HOST=127.0.0.1", "LOKI_HTTP_PORT=" + port(address), "LOKI_GRPC_PORT=" + port(grpc), "LOKI_DATA=" + t.TempDir(),
	}, path, "-config.file="+settings, "-config.expand-env=true")
	moment := time.Now().Add(-10 * time.Second)
	send(t, "http://"+address+"/otlp/v1/logs", moment)
	recorder := &recorder{to: recording{Moment: moment, Answers: make(map[string]answer)}, real: transport(t)}
	store := Loki("http://"+address, recorder)
	await(t, store, moment)
	clear(recorder.to.Answers)
	check(t, store, moment, questions(moment))
	check(t, store, moment, fieldQuestions(moment))
	checkHistogram(t, store, moment)
	if *record && !t.Failed() {
		content, err := json.MarshalIndent(recorder.to, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordings, append(content, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLokiRecorded asks what Loki has been asked before, and gets its answers.
func TestLokiRecorded(t *testing.T) {
	content, err := os.ReadFile(recordings)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		answer, ok := r.Answers[request.URL.Query().Encode()]
		if request.URL.Path != "/loki/api/v1/query_range" || !ok {
			http.Error(w, "never asked before; record the answer by: LOKI=… go test ./internal/logstore -run 'TestLoki$' -record", http.StatusTeapot)
			return
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body)
	}))
	defer server.Close()
	store := Loki(server.URL, transport(t))
	check(t, store, r.Moment, questions(r.Moment))
	checkHistogram(t, store, r.Moment)
	recorded := fieldQuestions(r.Moment)
	maps.DeleteFunc(recorded, func(name string, q question) bool {
		_, ok := r.Answers[lokiQuery(q.Query).Encode()]
		if !ok {
			t.Logf("%q has not been asked of Loki yet: LOKI=… go test ./internal/logstore -run 'TestLoki$' -record", name)
		}
		return !ok
	})
	if len(recorded) == 0 {
		t.Error("no question about a field has a recorded answer")
	}
	check(t, store, r.Moment, recorded)
}

// recorder notes questions and answers.
type recorder struct {
	to   recording
	real http.RoundTripper
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.real.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if response.StatusCode == http.StatusOK {
		r.to.Answers[request.URL.Query().Encode()] = answer{response.StatusCode, body}
	}
	return response, nil
}

// send sends everything as the Collector does.
func send(t *testing.T, address string, moment time.Time) {
	t.Helper()
	var request collogs.ExportLogsServiceRequest
	for _, s := range everything() {
		record := &logs.LogRecord{TimeUnixNano: uint64(moment.Add(s.after).UnixNano()), Body: text(s.line), TraceId: unhex(t, s.trace), SpanId: unhex(t, s.span)}
		attributes := maps.Clone(s.attributes)
		if s.level != "" {
			record.SeverityText = strings.ToUpper(s.level)
			record.SeverityNumber = logs.SeverityNumber_SEVERITY_NUMBER_INFO
			record.Attributes = append(record.Attributes, &common.KeyValue{Key: "level", Value: text(s.level)})
		}
		for k, v := range attributes {
			record.Attributes = append(record.Attributes, &common.KeyValue{Key: k, Value: text(v)})
		}
		request.ResourceLogs = append(request.ResourceLogs, &logs.ResourceLogs{
			Resource:  &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: text(s.service)}}},
			ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{record}}},
		})
	}
	body, err := proto.Marshal(&request)
	if err != nil {
		t.Fatal(err)
	}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-protobuf")
	post.Header.Set("VL-Stream-Fields", "service.name,service.namespace,deployment.environment.name,level")
	client := http.Client{Transport: transport(t)}
	response, err := client.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode/100 != 2 {
		t.Fatalf("%s: %s", response.Status, answer)
	}
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func unhex(t *testing.T, id string) []byte {
	t.Helper()
	var raw []byte
	if _, err := fmt.Sscanf(id, "%x", &raw); id != "" && err != nil {
		t.Fatal(err)
	}
	return raw
}

// checkHistogram counts all records, in steps that are shorter than they are apart.
func checkHistogram(t *testing.T, store Store, moment time.Time) {
	t.Helper()
	const step = 2 * time.Second
	q := Query{Start: moment.Add(-time.Minute).Truncate(step), End: moment.Add(time.Minute).Truncate(step), Limit: 1, Service: "chat", Words: "O"}
	want := map[time.Time]int{}
	for _, i := range []int{0, 1, 3, 5} {
		want[moment.Add(everything()[i].after).Truncate(step).UTC()]++
	}
	buckets, err := store.Histogram(t.Context(), q, step)
	if err != nil {
		t.Fatal(err)
	}
	got := map[time.Time]int{}
	for _, b := range buckets {
		got[b.Start] += b.Count
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("histogram (-want +got):\n%s", diff)
	}
}

// await waits until the store gives all that was sent.
func await(t *testing.T, store Store, moment time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		records, err := store.Records(ctx, questions(moment)["everything"].Query)
		if err == nil && len(records) == len(everything()) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d records, %v", len(records), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func transport(t *testing.T) *http.Transport {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// run runs a program until the end of the test, and waits until it is ready.
func run(t *testing.T, ready string, env []string, path string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", path, output.Bytes()[max(0, output.Len()-8000):])
		}
	})
	client := http.Client{Transport: transport(t)}
	deadline := time.Now().Add(time.Minute)
	for {
		response, err := client.Get(ready)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("%s", response.Status)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v\n%s", path, err, output.Bytes())
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// TestURL makes sure that a person who follows the address asks the same.
func TestURL(t *testing.T) {
	q := Query{Start: time.Unix(1, 0), End: time.Unix(2, 0), Limit: 3, Service: "a&b", Level: "warn", TraceID: traceID}
	for _, test := range []struct {
		store Store
		want  string
		query url.Values
	}{
		{Loki("http://loki:3100/", nil), "http://loki:3100/loki/api/v1/query_range", url.Values{
			"query": {`{service_name="a&b", level="warn"} | trace_id="` + traceID + `"`}, "start": {"1000000000"}, "end": {"2000000000"}, "limit": {"3"}, "direction": {"forward"},
		}},
		{VictoriaLogs("http://victoria-logs:9428", nil), "http://victoria-logs:9428/select/logsql/query", url.Values{
			"query": {`{"service.name"="a&b","level"="warn"} trace_id:="` + traceID + `" | sort by (_time) limit 3`}, "start": {"1000000000"}, "end": {"2000000000"},
		}},
	} {
		address, query, _ := strings.Cut(test.store.URL(q), "?")
		got, err := url.ParseQuery(query)
		if err != nil || address != test.want {
			t.Errorf("%s is asked at %s, %v; want %s", test.store.Name(), address, err, test.want)
		}
		if diff := gocmp.Diff(test.query, got); diff != "" {
			t.Errorf("%s is asked (-want +got):\n%s", test.store.Name(), diff)
		}
	}
}
