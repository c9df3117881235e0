package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/bot"
)

// started runs a command until the end of the test, or until stop, and returns what it prints, line by line.
func started(t *testing.T, args ...string) (lines *json.Decoder, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := execute(ctx, w, args...)
		_ = w.Close()
		ended <- err
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		go func() { _, _ = io.Copy(io.Discard, out) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("sockscope %s ended with %v", args[0], err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("sockscope %s does not end", args[0])
		}
	}
	t.Cleanup(stop)
	return json.NewDecoder(out), stop
}

// startedDemo runs a demo and returns the address of its WebSocket.
func startedDemo(t *testing.T, args ...string) string {
	t.Helper()
	lines, _ := started(t, append([]string{"demo", "--listen", "127.0.0.1:0", "--drain-spread", "0s"}, args...)...)
	var listening struct{ Msg, Address string }
	if err := lines.Decode(&listening); err != nil || listening.Msg != "demo listening" {
		t.Fatalf("the first record is %+v (%v)", listening, err)
	}
	go func() {
		for lines.Decode(&struct{}{}) == nil {
		}
	}()
	return strings.Replace(listening.Address, "http", "ws", 1) + "/ws"
}

func TestBot(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	key := filepath.Join(t.TempDir(), "key")
	writeFile(t, key, "a key for tests that is long enough")
	url := startedDemo(t, "--auth-key-file", key, "--batch-window", "100ms")

	records, stop := started(t, "bot", "--url", url, "--auth-key-file", key, "--listen", "127.0.0.1:0", "--json")
	for live := false; !live; {
		var r bot.Record
		if err := records.Decode(&r); err != nil {
			t.Fatal(err)
		}
		live = r.Change != nil && r.Change.To == "live"
	}
	stop()
}

func TestBotRefuses(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	for want, args := range map[string][]string{
		"--url":           {"--url", "http://127.0.0.1"},
		"--auth-key-file": {"--auth-key-file", filepath.Join(t.TempDir(), "missing")},
		"edge":            {"--edge", "200"},
		"--listen":        {"--listen", "127.0.0.1:none"},
	} {
		if err := execute(t.Context(), io.Discard, append([]string{"bot"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bot %v: %v, want an error about %s", args, err, want)
		}
	}
}

// TestShowLines has records shown where there is no terminal.
func TestShowLines(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.Local)
	var out bytes.Buffer
	_, show, done := showTo(&out, false)
	show(bot.Record{Time: at, Change: &bot.Change{From: "live", To: "waiting", Error: "connection reset"}})
	show(bot.Record{Time: at, Trade: &bot.Trade{Symbol: "ONE", Quantity: -5, Price: 12345, Seq: 7}})
	show(bot.Record{Time: at, Status: &bot.Status{
		State: "live", Seq: 7, AgeSeconds: 0.25, Gaps: 1, Missing: 10, Compared: 3, Reconnects: 2, Reconciled: 3, Trades: 1, Profit: -105,
	}})
	done()
	const want = `15:04:05  live → waiting: connection reset
15:04:05  sold 5 ONE at 123.45 (tick 7)
15:04:05  live          0.2 s old  gaps 1 (10 ticks)  drift 0/3  reconnects 2  trades 1  profit -1.05  reconciled 3
`
	if out.String() != want {
		t.Errorf("shown is\n%swant\n%s", out.String(), want)
	}
}

// metricsAt returns what is served at an address.
func metricsAt(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
