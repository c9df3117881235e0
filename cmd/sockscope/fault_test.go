package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/fault"
)

// serveFaults serves two faults that can be turned on and one that can't, and returns the address.
func serveFaults(t *testing.T) string {
	t.Helper()
	api := fault.NewAPI(func(context.Context, *fault.Switch) error { return nil },
		&fault.Switch{Name: "slow", Unit: "ms", Min: 1, Max: 10_000, Description: "slower"},
		&fault.Switch{Name: "silence", Unit: "on", Min: 1, Max: 1, Description: "not a word"},
		&fault.Switch{Name: "split", Unit: "on", Min: 1, Max: 1, Description: "two halves", Unavailable: "connect a second node"})
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// faultCommand runs a fault command and returns what it prints, with the spaces between columns as one.
func faultCommand(t *testing.T, url string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := execute(t.Context(), &out, append([]string{"fault", "--url", url}, args...)...)
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n"), err
}

func TestFault(t *testing.T) {
	url := serveFaults(t)
	const (
		header = "FAULT NOW STRENGTH WHAT IT CAUSES\n"
		split  = "\nsplit not here 1 two halves"
	)
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"ls"}, header + "slow off 1 to 10000 ms slower\nsilence off 1 not a word" + split},
		{[]string{"set", "slow", "250.5", "--for", "30m"}, header + "slow 250.5 for 30m0s 1 to 10000 ms slower"},
		{[]string{"set", "silence", "1"}, header + "silence on for 1m0s 1 not a word"},
		{[]string{"list"}, header + "slow 250.5 for 30m0s 1 to 10000 ms slower\nsilence on for 1m0s 1 not a word" + split},
		{[]string{"clear", "slow"}, header + "slow off 1 to 10000 ms slower"},
		{[]string{"clear", "--all"}, header + "silence off 1 not a word"},
		{[]string{"clear", "--all"}, strings.TrimSpace(header)},
	} {
		got, err := faultCommand(t, url, step.args...)
		if err != nil {
			t.Errorf("%v: %v", step.args, err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", step.args, diff)
		}
	}
}

// TestFaultNamesInstances has faults be on at some of several instances, and tells where.
func TestFaultNamesInstances(t *testing.T) {
	ends := time.Now().Add(time.Minute + 100*time.Millisecond)
	for want, s := range map[string]fault.State{
		"5 for 1m0s on a, b": {Max: 9, On: true, Strength: 5, Ends: ends, Instances: []string{"a", "b"}},
		"on for 1m0s on a":   {Min: 1, Max: 1, On: true, Strength: 1, Ends: ends, Instances: []string{"a"}},
		"off here, on b":     {Max: 9, Instances: []string{"b"}},
		"off":                {Max: 9},
		"not here":           {Max: 9, Unavailable: "there is one node"},
	} {
		if got := now(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

func TestFaultAsJSON(t *testing.T) {
	url := serveFaults(t)
	begin := time.Now()
	out, err := faultCommand(t, url, "set", "slow", "10", "--for", "1m", "--json")
	var list struct{ Faults []fault.State }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Faults) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	got := list.Faults[0]
	if err != nil || got.Ends.Before(begin.Add(time.Minute)) || got.Ends.Sub(got.Began) != time.Minute {
		t.Errorf("from %v to %v (%v)", got.Began, got.Ends, err)
	}
	got.Began, got.Ends = time.Time{}, time.Time{}
	want := fault.State{Name: "slow", Description: "slower", Unit: "ms", Min: 1, Max: 10_000, On: true, Strength: 10}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestFaultRefuses(t *testing.T) {
	url := serveFaults(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(closed.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close()
	for _, tc := range []struct {
		url  string
		args []string
		want string
	}{
		{url, []string{"set", "slow", "many"}, "not a number"},
		{url, []string{"set", "slow", "NaN"}, "not a number"},
		{url, []string{"set", "slow", "0"}, "give 1 to 10000 ms"},
		{url, []string{"set", "slow", "1", "--for", "31m"}, "at most 30m0s"},
		{url, []string{"set", "slow"}, "accepts 2 arg(s)"},
		{url, []string{"set", "fast", "1"}, "there is no fault fast: there are slow, silence, split"},
		{url, []string{"set", "split", "1"}, "connect a second node"},
		{url, []string{"clear"}, "--all"},
		{url, []string{"clear", "slow", "--all"}, "--all"},
		{url, []string{"clear", "fast", "../slow"}, "there is no fault fast"},
		{nobody, []string{"ls"}, "is it running"},
		{nobody, []string{"clear", "--all"}, "is it running"},
		{closed.URL, []string{"ls"}, "--fault-api off"},
		{"::", []string{"ls"}, "--url"},
	} {
		if out, err := faultCommand(t, tc.url, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want an error that says %q\n%s", tc.args, err, tc.want, out)
		}
	}
}

func TestFaultCompletion(t *testing.T) {
	url := serveFaults(t)
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"set", ""}, []string{"slow", "silence", "split"}},
		{[]string{"set", "slow", ""}, nil},
		{[]string{"clear", "slow", ""}, []string{"slow", "silence", "split"}},
	} {
		var out bytes.Buffer
		if err := execute(t.Context(), &out, append([]string{"__complete", "fault", "--url", url}, tc.args...)...); err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			if name, _, ok := strings.Cut(line, "\t"); ok {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%v is completed by %q, want %q", tc.args, got, tc.want)
		}
	}
}
