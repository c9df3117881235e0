package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// prometheus is one that answers what is asked for by path with the data, and remembers the form.
func prometheus(t *testing.T, answers map[string]string) (*Asker, func() string) {
	t.Helper()
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = r.Method + " " + r.Form.Encode()
		data, ok := answers[r.URL.Path]
		if !ok {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(server.Close)
	return NewAsker(server.URL, &http.Transport{DisableKeepAlives: true}), func() string { return asked }
}

func TestRange(t *testing.T) {
	asker, asked := prometheus(t, map[string]string{rangePath: `{"resultType":"matrix","result":[
		{"metric":{"job":"a"},"values":[[10,"1"],[25.5,"+Inf"]]},
		{"metric":{},"histograms":[[10,{"count":"3","sum":"0.5","buckets":[[0,"0.1","0.2","3"]]}]]},
		{"metric":{"job":"too many"}}]}`})
	got, more, err := asker.Range(t.Context(), "up", time.Unix(10, 0), time.Unix(40, 0), 15*time.Second, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := []Series{
		{Labels: map[string]string{"job": "a"}, Points: []Point{{10_000, 1}, {25_500, inf()}}},
		{Labels: map[string]string{}, Histograms: []Histogram{{10_000, 3, 0.5, []Bucket{{0.1, 0.2, 3}}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" || !more {
		t.Errorf("more %v, (-want +got):\n%s", more, diff)
	}
	if want := "POST end=40.000&limit=3&query=up&start=10.000&step=15"; asked() != want {
		t.Errorf("asked %s, want %s", asked(), want)
	}
}

func inf() float64 {
	var zero float64
	return 1 / zero
}

func TestExemplars(t *testing.T) {
	const one = `{"labels":{"trace_id":"abc"},"value":"0.5","timestamp":12.5}`
	asker, _ := prometheus(t, map[string]string{"/api/v1/query_exemplars": `[{"seriesLabels":{"type":"join"},"exemplars":[` +
		one + `,{"labels":{},"value":"1","timestamp":13},` + one + `,` + one + `]}]`})
	got, err := asker.Exemplars(t.Context(), "x", time.Unix(0, 0), time.Unix(60, 0), 2)
	each := Exemplar{12_500, 0.5, "abc", map[string]string{"type": "join"}}
	if diff := cmp.Diff([]Exemplar{each, each}, got); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
}

func TestValuesAndAlerts(t *testing.T) {
	asker, asked := prometheus(t, map[string]string{
		"/api/v1/label/a b/values": `["x"]`,
		"/api/v1/alerts":           `{"alerts":[{"labels":{"alertname":"A"},"state":"firing","activeAt":"2026-01-02T15:04:05Z"}]}`,
	})
	values, err := asker.Values(t.Context(), "a b", `up{job="x"}`, time.Unix(0, 0), time.Unix(60, 0), 10)
	if err != nil || len(values) != 1 || asked() != "GET end=60.000&limit=10&match%5B%5D=up%7Bjob%3D%22x%22%7D&start=0.000" {
		t.Errorf("values %q, error %v, asked %s", values, err, asked())
	}
	alerts, err := asker.Alerts(t.Context())
	if err != nil || len(alerts) != 1 || alerts[0].State != "firing" || alerts[0].Since.IsZero() {
		t.Errorf("alerts %v, error %v", alerts, err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	asker, _ := prometheus(t, map[string]string{rangePath: strings.Repeat(" ", maxAnswer)})
	_, _, err := asker.Range(t.Context(), "up", time.Unix(0, 0), time.Unix(60, 0), time.Second, 1)
	if want := "longer than 16 MiB"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want one that says %s", err, want)
	}
}
