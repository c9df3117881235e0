package market

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Handler serves the snapshot of the present as JSON to GET and HEAD. The parameter symbol, which may be repeated,
// limits it to some symbols. What is wrong with a request is told as {"error": "…"}.
func (m *Market) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A snapshot that somebody kept is no truth to reconcile with.
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "the snapshot is there to GET")
			return
		}
		symbols, code, err := m.selected(r.URL.RawQuery)
		if err != nil {
			refuse(w, code, err.Error())
			return
		}
		answer(w, http.StatusOK, m.snapshot(m.At(time.Now()), symbols))
	})
}

// selected returns the symbols that a query asks for, or the status of the refusal and what it is for.
func (m *Market) selected(query string) (symbols []string, code int, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("malformed query: %w", err)
	}
	for key := range values {
		if key != "symbol" {
			return nil, http.StatusBadRequest, fmt.Errorf("unknown parameter %q: there is only symbol", key)
		}
	}
	asked, ok := values["symbol"]
	if !ok {
		return m.symbols, 0, nil
	}
	for _, s := range asked {
		if !slices.Contains(m.symbols, s) {
			return nil, http.StatusNotFound, fmt.Errorf("unknown symbol %q: without a parameter all are listed", s)
		}
	}
	return asked, 0, nil
}

func refuse(w http.ResponseWriter, code int, reason string) {
	answer(w, code, map[string]string{"error": reason})
}

func answer(w http.ResponseWriter, code int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, fmt.Sprintf("encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n')) // an error means that the caller is gone
}
