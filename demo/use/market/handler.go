package market

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sockscope/sockscope/demo/reply"
)

// Handler serves the snapshot of the present as JSON to GET and HEAD. The parameter symbol, which may be repeated,
// limits it to some symbols. What is wrong with a request is told as {"error": "…"}.
func (m *Market) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			reply.Refuse(w, http.StatusMethodNotAllowed, "the snapshot is there to GET")
			return
		}
		symbols, code, err := m.selected(r.URL.RawQuery)
		if err != nil {
			reply.Refuse(w, code, err.Error())
			return
		}
		reply.JSON(w, http.StatusOK, m.snapshot(m.At(time.Now()), symbols))
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
