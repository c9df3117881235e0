package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask asks a server that answers with a status and a text.
func ask(t *testing.T, code int, text string) Answer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query" || r.FormValue("query") != "up" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}))
	defer server.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	return NewAsker(server.URL+"/", transport).Ask(t.Context(), []Question{{Title: "Up", Query: "up"}})[0]
}

func TestAnswers(t *testing.T) {
	vector := func(list string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[` + list + `]}}`
	}
	tests := []struct {
		name, text string
		want       Answer
	}{
		{"nothing", vector(""), Answer{}},
		{"largest first, all labels", vector(`{"metric":{"job":"b"},"value":[1,"1"]},{"metric":{"job":"a","x":"y"},"value":[1,"12345678"]},{"metric":{"job":"a"},"value":[1,"1"]}`),
			Answer{Labels: []string{"job", "x"}, Rows: []Row{
				{Labels: []string{"a", "y"}, Value: "1.23457e+07"}, {Labels: []string{"a", ""}, Value: "1"}, {Labels: []string{"b", ""}, Value: "1"},
			}}},
		{"not a number", vector(`{"metric":{},"value":[1,"NaN"]}`), Answer{Rows: []Row{{Value: "NaN"}}}},
		{"histogram", vector(`{"metric":{},"histogram":[1,{"count":"3","sum":"0.5","buckets":[]}]}`), Answer{Rows: []Row{{Value: "histogram of 3, sum 0.5"}}}},
		{"neither", vector(`{"metric":{}}`), Answer{Rows: []Row{{Value: "unknown"}}}},
		{"scalar", `{"data":{"resultType":"scalar","result":[1,"0.25"]}}`, Answer{Rows: []Row{{Value: "0.25"}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.want.Question = Question{"Up", "up"}
			got := ask(t, http.StatusOK, test.text)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(Row{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		text string
		want string
	}{
		{"bad query", 400, `{"status":"error","error":"parse error"}`, "400 Bad Request: parse error"},
		{"no JSON", 200, "<html>", "read the answer of Prometheus (200 OK)"},
		{"range", 200, `{"data":{"resultType":"matrix","result":[]}}`, "returns a matrix"},
		{"result of another kind", 200, `{"data":{"resultType":"vector","result":7}}`, "read the answer"},
		{"scalar of another kind", 200, `{"data":{"resultType":"scalar","result":{}}}`, "read the answer"},
	} {
		if got := ask(t, test.code, test.text); !strings.Contains(got.Problem, test.want) {
			t.Errorf("%s: problem %q, want %q", test.name, got.Problem, test.want)
		}
	}
	away := httptest.NewServer(nil)
	away.Close()
	for address, want := range map[string]string{"": "no address", away.URL: "it is not running"} {
		if got := NewAsker(address, &http.Transport{}).Ask(t.Context(), []Question{{}})[0]; !strings.Contains(got.Problem, want) {
			t.Errorf("problem %q, want %q", got.Problem, want)
		}
	}
}

func TestRowsAreBounded(t *testing.T) {
	var list []string
	for i := range maxRows + 7 {
		list = append(list, fmt.Sprintf(`{"metric":{"i":"%d"},"value":[1,"1"]}`, i))
	}
	got := ask(t, 200, `{"data":{"resultType":"vector","result":[`+strings.Join(list, ",")+`]}}`)
	if len(got.Rows) != maxRows || got.More != 7 {
		t.Errorf("%d rows and %d more", len(got.Rows), got.More)
	}
}

// TestOverviewQuotes gives names from outside that try to be more than names.
func TestOverviewQuotes(t *testing.T) {
	tests := []struct{ job, namespace, want string }{
		{"", "", "websocket_active_connections{}"},
		{"demo", "", `websocket_active_connections{job="demo"}`},
		{"demo", "chat", `websocket_active_connections{job="demo", namespace="chat"}`},
		{"", `"} or up{x="` + "\\\n", `websocket_active_connections{namespace="\"} or up{x=\"\\\n"}`},
	}
	for _, test := range tests {
		if got := Overview(test.job, test.namespace)[1].Query; !strings.Contains(got, test.want) {
			t.Errorf("the query for %q, %q is %s, want one with %s", test.job, test.namespace, got, test.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("vector", `[{"metric":{"a":"b"},"value":[1,"2"]}]`)
	f.Add("vector", `[{"metric":{},"histogram":[1,{"count":"2","sum":"1"}]}]`)
	f.Add("scalar", `[1,"2"]`)
	f.Fuzz(func(t *testing.T, kind, result string) {
		list, err := readSeries(kind, []byte(result), false)
		if err != nil {
			return
		}
		var a Answer
		a.read(list)
		for _, row := range a.Rows {
			if len(row.Labels) != len(a.Labels) {
				t.Errorf("%d labels under %d names", len(row.Labels), len(a.Labels))
			}
		}
	})
}
