package answer_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/internal/answer"
)

// TestHead reads answers that are cut at every place.
func TestHead(t *testing.T) {
	long := "HTTP/1.1 101 Switching Protocols\r\nCookie: " + strings.Repeat("x", 20_000) + "\r\n\r\n"
	for name, tt := range map[string]struct {
		answer string
		status int
		header http.Header
		rest   string
	}{
		"101": {
			"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n\x81\x00", 101,
			http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Extensions": {"permessage-deflate"}}, "\x81\x00",
		},
		"no header":         {"HTTP/1.1 403 Forbidden\r\n\r\n", 403, http.Header{}, ""},
		"bare line feeds":   {"HTTP/1.1 400 Bad Request\nA: b\n\nno", 400, http.Header{"A": {"b"}}, "no"},
		"no reason":         {"HTTP/1.1 500\r\n\r\n", 500, http.Header{}, ""},
		"bad header":        {"HTTP/1.1 400 Bad\r\nA: b\r\n: c\r\n\r\n", 400, http.Header{"A": {"b"}}, ""},
		"informational":     {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 Now\r\nB: c\r\n\r\n\x88\x00", 101, http.Header{"B": {"c"}}, "\x88\x00"},
		"no answer":         {"hello\r\n\r\nworld", 0, nil, "world"},
		"no status":         {"HTTP/1.1 OK\r\n\r\n", 0, nil, ""},
		"impossible status": {"HTTP/1.1 42 Hm\r\n\r\n", 0, nil, ""},
		"endless":           {long, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			step := max(1, len(tt.answer)/200)
			for cut := 0; cut <= len(tt.answer); cut += step {
				var h answer.Head
				rest, whole := h.Read([]byte(tt.answer[:cut]))
				if !whole {
					rest, whole = h.Read([]byte(tt.answer[cut:]))
				} else {
					rest = append(bytes.Clone(rest), tt.answer[cut:]...)
				}
				if name == "endless" {
					rest = nil // as much as there is
				}
				got := []any{whole, h.Status, h.Header, string(rest)}
				if diff := cmp.Diff([]any{true, tt.status, tt.header, tt.rest}, got); diff != "" {
					t.Fatalf("cut at %d, -want +got:\n%s", cut, diff)
				}
			}
		})
	}
}

// FuzzHead compares the status with the one that net/http reads, where it reads one, for bytes in two pieces.
func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"), 20)
	f.Add([]byte("HTTP/1.0 403 Forbidden\nA: b\n\n"), 0)
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r"), 18)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = min(max(cut, 0), len(p))
		var h answer.Head
		rest, whole := h.Read(p[:cut])
		if !whole {
			rest, whole = h.Read(p[cut:])
		}
		if whole && len(rest) > len(p) {
			t.Fatalf("%d bytes behind the head of %d", len(rest), len(p))
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p)), nil)
		if err != nil || resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols || len(p) > 16<<10 {
			return
		}
		defer resp.Body.Close()
		if !whole || h.Status != resp.StatusCode && resp.StatusCode >= 100 && resp.StatusCode <= 999 {
			t.Errorf("whole %v, status %d, want %d", whole, h.Status, resp.StatusCode)
		}
	})
}
