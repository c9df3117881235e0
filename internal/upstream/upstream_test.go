package upstream

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/auth"
)

func TestParse(t *testing.T) {
	type parts struct{ Socket, Host, Market string }
	for address, want := range map[string]parts{
		"ws://127.0.0.1:8080/ws":        {"ws://127.0.0.1:8080/ws", "127.0.0.1:8080", "http://127.0.0.1:8080/api/market"},
		"ws://127.0.0.1:8080":           {"ws://127.0.0.1:8080/ws", "127.0.0.1:8080", "http://127.0.0.1:8080/api/market"},
		"wss://example.com/":            {"wss://example.com/ws", "example.com", "https://example.com/api/market"},
		"wss://wss.example/demo/ws/":    {"wss://wss.example/demo/ws", "wss.example", "https://wss.example/demo/api/market"},
		"ws://[::1]:8080/ws":            {"ws://[::1]:8080/ws", "[::1]:8080", "http://[::1]:8080/api/market"},
		"wss://example.com/ws/twice/ws": {"wss://example.com/ws/twice/ws", "example.com", "https://example.com/ws/twice/api/market"},
	} {
		s, err := Parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if diff := cmp.Diff(want, parts{s.Socket(), s.Host(), s.HTTP("/api/market")}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", address, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, address := range []string{
		"", "127.0.0.1:8080", "http://127.0.0.1:8080/ws", "ws:///ws", "ws://127.0.0.1:8080/chat", "ws://ann:secret@127.0.0.1/ws",
		"ws://127.0.0.1/ws?token=secret", "ws://127.0.0.1/ws#secret", "http://ann:secret@127.0.0.1/ws", "ws://127.0.0.1:port/ws",
	} {
		s, err := Parse(address)
		if err == nil {
			t.Errorf("%q is taken for %s", address, s.Socket())
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats a secret: %v", address, err)
		}
	}
}

// TestTokens gets tokens both ways, and has the server's side verify them.
func TestTokens(t *testing.T) {
	key := []byte("a key for tests that is long enough")
	authority, err := auth.New(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /auth/token", authority.DevHandler())
	server := httptest.NewServer(mux)
	defer server.Close()
	s, err := Parse(strings.Replace(server.URL, "http", "ws", 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, keyFile := range map[string]string{"from the server": "", "from the key": file} {
		tokens, err := TokensFrom(keyFile)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		token, err := tokens(t.Context(), s, "ann")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if who, err := authority.Verify(token); err != nil || who.User != "ann" {
			t.Errorf("%s: the token is %q's (%v)", name, who.User, err)
		}
	}
}

func TestTokensFromRefuses(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{short, filepath.Join(t.TempDir(), "missing")} {
		if _, err := TokensFrom(file); err == nil || !strings.Contains(err.Error(), file) && !os.IsNotExist(err) {
			t.Errorf("%s: %v, want an error that names it", file, err)
		}
	}
}
