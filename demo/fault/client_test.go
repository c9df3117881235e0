package fault

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClient(t *testing.T) {
	s := newSwitch()
	var broken error
	server := httptest.NewServer(NewAPI(func(context.Context, *Switch) error { return broken }, s).Handler())
	defer server.Close()
	c := Client{URL: server.URL + "/", HTTP: server.Client()}
	same := func(step string, got State, err error) {
		t.Helper()
		if diff := cmp.Diff(s.State(), got); diff != "" || err != nil {
			t.Errorf("%s: %v, state (-want +got):\n%s", step, err, diff)
		}
	}
	set, err := c.Set(t.Context(), "slow", 10, time.Minute)
	same("set", set, err)
	list, err := c.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("list: %v, %v", list, err)
	}
	same("list", list[0], nil)
	cleared, err := c.Clear(t.Context(), "slow")
	same("clear", cleared, err)
	if set.On == cleared.On {
		t.Errorf("on %t after it was set, %t after it was cleared", set.On, cleared.On)
	}

	if _, err := c.Clear(t.Context(), "a/b?c"); err == nil || err.Error() != "there is no fault a/b?c: there are slow" {
		t.Errorf("a fault that there isn't: %v", err)
	}
	broken = errors.New("not while it drains")
	if _, err := c.Set(t.Context(), "slow", 10, time.Minute); err == nil || err.Error() != "not while it drains" || s.On() {
		t.Errorf("a service that does not want to: %v, on %t", err, s.On())
	}
}

// TestClientReachesAllInstances has it ask for that where something is to be turned, and for nothing where it is
// listed.
func TestClientReachesAllInstances(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	c := Client{URL: server.URL, HTTP: server.Client(), AllInstances: true}
	_, err := c.List(t.Context())
	_, set := c.Set(t.Context(), "slow", 10, time.Minute)
	_, cleared := c.Clear(t.Context(), "slow")
	if err := errors.Join(err, set, cleared); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"GET /fault", "PUT /fault/slow?instances=all", "DELETE /fault/slow?instances=all"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestClientMeetsOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		code int
		body string
		want string
	}{
		"no faults":     {http.StatusNotFound, "404 page not found", "--fault-api off"},
		"another":       {http.StatusOK, "<html>", "in another way"},
		"out of order":  {http.StatusBadGateway, "", "502 Bad Gateway"},
		"its own words": {http.StatusForbidden, `{"error":"not you"}`, "not you"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.code)
			_, _ = w.Write([]byte(tc.body))
		}))
		if _, err := (&Client{URL: server.URL}).List(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tc.want)
		}
		server.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	for address, want := range map[string]string{"http://127.0.0.1:1": "is it running", "::": "has to be like"} {
		if _, err := (&Client{URL: address}).List(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", address, err, want)
		}
	}
}
