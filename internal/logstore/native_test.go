package logstore

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestNativeQueries asks both stores in their own languages.
func TestNativeQueries(t *testing.T) {
	const series = `{"data":{"result":[{"metric":{"__name__":"records","level":"info"},"values":[[60,"3"],[120,"x"],[180,"0.5"]]}]}}`
	for name, test := range map[string]struct {
		store   func(string, http.RoundTripper) Store
		records string // that the store answers with
		asked   url.Values
		counted url.Values
	}{
		"Loki": {
			Loki, `{"data":{"result":[{"stream":{"service_name":"demo"},"values":[["2000000000","newer"],["1000000000","older"]]}]}}`,
			url.Values{"query": {"native"}, "start": {"0"}, "end": {"60000000000"}, "limit": {"2"}, "direction": {"backward"}},
			url.Values{"query": {"native"}, "start": {"0"}, "end": {"60000000000"}, "step": {"5"}},
		},
		"VictoriaLogs": {
			VictoriaLogs, `{"_time":"1970-01-01T00:00:02Z","_msg":"newer","service.name":"demo"}` + "\n" + `{"_time":"1970-01-01T00:00:01Z","_msg":"older","service.name":"demo"}`,
			url.Values{"query": {"native | sort by (_time desc) limit 2"}, "start": {"0"}, "end": {"60000000000"}},
			url.Values{"query": {"native"}, "start": {"0"}, "end": {"60000000000"}, "step": {"5s"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := test.records
			var asked url.Values
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Query()
				fmt.Fprint(w, answer)
			}))
			defer server.Close()
			store := test.store(server.URL, &http.Transport{DisableKeepAlives: true})
			records, err := store.Ask(t.Context(), "native", time.Unix(0, 0), time.Unix(60, 0), 2)
			if err != nil || len(records) != 2 || records[0].Message != "older" || records[1].Message != "newer" {
				t.Errorf("records %v, error %v", records, err)
			}
			if diff := gocmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			answer = series
			counts, err := store.Count(t.Context(), "native", time.Unix(0, 0), time.Unix(60, 0), 5*time.Second)
			want := []Series{{map[string]string{"level": "info"}, []Point{{time.Unix(60, 0).UTC(), 3}, {time.Unix(180, 0).UTC(), 0.5}}}}
			if diff := gocmp.Diff(want, counts); diff != "" || err != nil {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
			if diff := gocmp.Diff(test.counted, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}
