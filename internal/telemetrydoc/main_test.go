package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTelemetryDocIsCurrent(t *testing.T) {
	want, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	got, err := render()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run `go run ./internal/telemetrydoc > docs/telemetry.md`, -file +code:\n%s", diff)
	}
}
