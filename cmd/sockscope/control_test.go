package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/desk/status"
)

func TestPrintStatus(t *testing.T) {
	now := time.Now()
	report := func(name string, state status.State, detail string) status.Report {
		return status.Report{Component: status.Component{Name: name, Address: "http://" + name}, State: state, Since: now.Add(-90 * time.Second), Detail: detail}
	}
	list := []status.Report{
		report("desk", status.Ready, ""),
		report("jaeger", status.Building, "compiling, 388 of 1,667 packages"),
	}
	var out strings.Builder
	if err := printStatus(&out, list, now); err != nil {
		t.Errorf("what is on its way is an error: %v", err)
	}
	for _, want := range []string{"COMPONENT", "desk", "ready", "1m30s", "http://jaeger", "building", "388 of 1,667"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	list = append(list, report("loki", status.NotReady, "restarting"))
	if err := printStatus(&out, list, now); err == nil || err.Error() != "1 of 3 components are down: loki" {
		t.Errorf("error = %v", err)
	}
	if !strings.Contains(out.String(), "not ready") {
		t.Errorf("the state is not in words:\n%s", out.String())
	}
}

func TestAttached(t *testing.T) {
	got := attached([]string{"up", "--detach", "--data=x", "-d", "--detach=true", "--port-offset", "7"})
	if want := []string{"up", "--data=x", "--port-offset", "7"}; !slices.Equal(got, want) {
		t.Errorf("attached = %q, want %q", got, want)
	}
}
