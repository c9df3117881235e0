package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/demo/history"
)

func TestParseKafka(t *testing.T) {
	for address, want := range map[string]history.Topic{
		"kafka://127.0.0.1:9092/history":     {Brokers: []string{"127.0.0.1:9092"}, Name: "history"},
		"kafka://one:9092,[::1]:9093/a.b-c_": {Brokers: []string{"one:9092", "[::1]:9093"}, Name: "a.b-c_"},
		"kafka://one:9092":                   {},
		"kafka://one:9092/":                  {},
		"kafka:///history":                   {},
		"kafka://one:9092,/history":          {},
		"kafka://one:9092/%zz":               {},
		"redis://one:9092/history":           {},
		"one:9092/history":                   {},
	} {
		got, err := parseKafka(address)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(history.Topic{}, "Options")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", address, diff)
		}
		if (err != nil) != (want.Name == "") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
