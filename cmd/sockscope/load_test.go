package main

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadList(t *testing.T) {
	var out bytes.Buffer
	if err := execute(t.Context(), &out, "load", "--list"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(out.String()) {
		name, about, _ := strings.Cut(line, " ")
		names = append(names, name)
		if strings.TrimSpace(about) == "" {
			t.Errorf("%s does not say what it is about", name)
		}
	}
	want := []string{
		"bad-tokens", "chat", "churn", "fan-out", "feed", "half-open", "idle", "malformed", "mixed", "oversize",
		"slow-readers", "storm", "transports",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("scenarios (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	short := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--list":            {"--scenario", "nothing"},
		"no such file":      {"--scenario", "./nothing.yaml"},
		"rooms":             {"--connections", "2", "--rooms", "3"},
		"negative":          {"--rate", "-1"},
		"duration":          {"--duration", "-1s"},
		"--source":          {"--source", "127.0.0"},
		"--auth-key-file":   {"--auth-key-file", short},
		"ws://":             {"--url", "http://127.0.0.1:1/"},
		"about WebSockets":  {"--scenario", "malformed", "--transport", "sse"},
		"no transport":      {"--transport", "pigeon"},
		"one for each URL":  {"--scenario", "transports", "--url", "ws://127.0.0.1:1/ws,ws://127.0.0.1:2/ws"},
		"unknown command":   {"ls"},
		"is the server run": {"--url", "ws://127.0.0.1:1/ws", "--connections", "1"},
	} {
		err := execute(t.Context(), io.Discard, append([]string{"load"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load %v: %v, want an error that names %s", args, err, want)
		}
	}
}

func TestParseAddresses(t *testing.T) {
	list := func(all ...string) (addresses []netip.Addr) {
		for _, a := range all {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		return addresses
	}
	for text, want := range map[string][]netip.Addr{
		"127.0.0.1":               list("127.0.0.1"),
		"127.0.0.254-127.0.1.1":   list("127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"),
		"::1":                     list("::1"),
		"255.255.255.255":         list("255.255.255.255"),
		"":                        nil,
		"127.0.0.1-":              nil,
		"127.0.0.1-8":             nil,
		"127.0.0.8-127.0.0.1":     nil,
		"127.0.0.1-127.255.0.0":   nil,
		"127.0.0.1-::1":           nil,
		"localhost":               nil,
		"127.0.0.1,127.0.0.2":     nil,
		"127.0.0.1 - 127.0.0.2":   nil,
		"127.0.0.1-127.0.0.2-...": nil,
	} {
		got, err := parseAddresses(text)
		if (err == nil) != (want != nil) {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
