package market

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHandlerServesTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, Config{Symbols: []string{"ACME", "STARK", "WAYNE"}})
		for query, symbols := range map[string][]string{
			"":                          {"ACME", "STARK", "WAYNE"},
			"?symbol=STARK":             {"STARK"},
			"?symbol=STARK&symbol=ACME": {"ACME", "STARK"},
		} {
			want := m.Snapshot(time.Now())
			for s := range want.Quotes {
				if !slices.Contains(symbols, s) {
					delete(want.Quotes, s)
				}
			}
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/market"+query, nil))
			if w.Code != http.StatusOK {
				t.Fatalf("%q: %d %s", query, w.Code, w.Body)
			}
			header := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
			if diff := cmp.Diff(header, w.Result().Header); diff != "" {
				t.Errorf("%q: header (-want +got):\n%s", query, diff)
			}
			var got Snapshot
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
	})
}

func TestHandlerOverHTTP(t *testing.T) {
	m := newMarket(t, Config{})
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	before := m.Snapshot(time.Now())
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got Snapshot
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if after := m.At(time.Now()); got.Seq < before.Seq || got.Seq > after {
		t.Errorf("tick %d, want one from %d to %d", got.Seq, before.Seq, after)
	}
	if diff := cmp.Diff(m.Snapshot(got.Time), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHandlerRefuses(t *testing.T) {
	h := newMarket(t, Config{}).Handler()
	for name, tc := range map[string]struct {
		method, target string
		code           int
		want           string
	}{
		"POST":              {http.MethodPost, "/", http.StatusMethodNotAllowed, "the snapshot is there to GET"},
		"unknown parameter": {http.MethodGet, "/?depth=5", http.StatusBadRequest, `unknown parameter "depth": there is only symbol`},
		"unknown symbol":    {http.MethodGet, "/?symbol=ACME&symbol=X", http.StatusNotFound, `unknown symbol "X": without a parameter all are listed`},
		"empty symbol":      {http.MethodGet, "/?symbol=", http.StatusNotFound, `unknown symbol "": without a parameter all are listed`},
		"malformed query":   {http.MethodGet, "/?symbol=%zz", http.StatusBadRequest, `malformed query: invalid URL escape "%zz"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.target, nil))
			var got map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != tc.code {
				t.Errorf("status %d, want %d", w.Code, tc.code)
			}
			if diff := cmp.Diff(map[string]string{"error": tc.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if allow := w.Header().Get("Allow"); (allow == "GET, HEAD") != (tc.code == http.StatusMethodNotAllowed) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
}
