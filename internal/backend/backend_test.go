package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve returns a backend that is served by h.
func serve(t *testing.T, h http.HandlerFunc) *Backend {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return New("Loki", server.URL+"/", server.Client().Transport)
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestGet(t *testing.T) {
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" || r.URL.Path != "/path" {
			t.Errorf("asked %s %s, accepting %q", r.Method, r.URL, r.Header.Get("Accept"))
		}
		_, _ = fmt.Fprintf(w, "%q", r.FormValue("query"))
	})
	var got string
	query := url.Values{"query": {`{a="ü & b"}`}}
	if err := b.Get(t.Context(), "/path", query, Into(&got)); err != nil || got != query.Get("query") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, want := b.URL("/path", query), b.url+"/path?query=%7Ba%3D%22%C3%BC+%26+b%22%7D"; got != want {
		t.Errorf("URL is %s, want %s", got, want)
	}
	if got, want := b.URL("/path", nil), b.url+"/path"; got != want || strings.Contains(got, "//path") {
		t.Errorf("URL is %s, want %s", got, want)
	}
}

// TestErrors has each say who was asked, and what is wrong.
func TestErrors(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + refusing.Addr().String()
	if err := refusing.Close(); err != nil {
		t.Fatal(err)
	}
	server := func(h http.HandlerFunc) func(*testing.T) *Backend {
		return func(t *testing.T) *Backend { return serve(t, h) }
	}
	at := func(address string) func(*testing.T) *Backend {
		return func(*testing.T) *Backend { return New("Loki", address, nil) }
	}
	for _, test := range []struct {
		name    string
		backend func(*testing.T) *Backend
		want    string
		is      error
	}{
		{"no address", at(""), "no address of Loki is set", nil},
		{"no URL", at("http://127.0.0.1:port"), "ask Loki: parse ", nil},
		{"nobody listens", at(address), "ask Loki at " + address + ": connection refused: it is not running", ErrNotRunning},
		{"nothing there", server(answers(404, "x")), "Loki has nothing at /path: not found", ErrNotFound},
		{"it fails", server(answers(500, " out of memory\n")), "Loki answers 500 Internal Server Error: out of memory", nil},
		{"it fails at length", server(answers(400, strings.Repeat("x", 1<<20))), "Loki answers 400 Bad Request: " + strings.Repeat("x", 300), nil},
		{"it fails in bytes", server(answers(503, "\xff")), "Loki answers 503 Service Unavailable: \uFFFD", nil},
		{"a page", server(answers(200, "<html>")), "read the answer of Loki: invalid character '<'", nil},
		{"nothing", server(answers(200, "")), "read the answer of Loki: EOF", io.EOF},
		{"half of it", server(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `"half`)
		}), "read the answer of Loki: unexpected EOF", io.ErrUnexpectedEOF},
		{"it hangs up", server(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "ask Loki at http://127.0.0.1:", io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			var into any
			err := test.backend(t).Get(t.Context(), "/path", nil, Into(&into))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("error is %v, want %s", err, test.want)
			}
			if len(err.Error()) > 400 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v is not %v", err, test.is)
			}
		})
	}
}

// says is a transport to a store that gives the same answer to every question.
type says string

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(s)))}, nil
}

func TestLongAnswers(t *testing.T) {
	for length, want := range map[int]string{
		maxAnswer:     "",
		maxAnswer + 1: "the answer of Loki is longer than 16 MiB: ask for less",
		maxAnswer * 2: "the answer of Loki is longer than 16 MiB: ask for less",
	} {
		b := New("Loki", "http://loki", says(strings.Repeat("x", length)))
		var got int64
		err := b.Get(t.Context(), "/", nil, func(r io.Reader) (err error) {
			got, err = io.Copy(io.Discard, r)
			return err
		})
		if want == "" && (err != nil || got != int64(length)) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%d bytes of %d, error %v, want %s", got, length, err, want)
		}
	}
}

// hangs is a transport to a store that says nothing, or begins to.
type hangs struct{ begins bool }

func (h hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	if !h.begins {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Body: io.NopCloser(silence{r.Context()})}, nil
}

// silence is read until the context ends.
type silence struct{ context.Context }

func (s silence) Read([]byte) (int, error) {
	<-s.Done()
	return 0, s.Err()
}

func TestHangingStore(t *testing.T) {
	for name, test := range map[string]struct {
		hangs
		want string
	}{
		"from the start": {hangs{}, "ask Loki at http://loki: no answer within 5s"},
		"in the middle":  {hangs{begins: true}, "read the answer of Loki: no answer within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := New("Loki", "http://loki", test.hangs).Get(t.Context(), "/", nil, Into(new(any)))
				if err == nil || err.Error() != test.want {
					t.Errorf("error is %v, want %s", err, test.want)
				}
				if took := time.Since(began); took != patience {
					t.Errorf("it took %s, want %s", took, patience)
				}
			})
		})
	}
}

// TestCanceled makes sure that a caller who leaves does not read that the store is slow.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := New("Loki", "http://loki", hangs{}).Get(ctx, "/", nil, Into(new(any)))
		if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "no answer") {
			t.Errorf("error is %v", err)
		}
	})
}

// TestAskingIsBounded has the ninth wait for one of eight others.
func TestAskingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("Loki", "http://loki", hangs{})
		ask := func(patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return b.Get(ctx, "/", nil, Into(new(any)))
		}
		for range maxAsking {
			go func() { _ = ask(time.Minute) }()
		}
		synctest.Wait()
		err := ask(time.Second)
		if want := "ask Loki: too many others are asking: "; err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want %s", err, want)
		}
		// The others give up after five seconds. It has its turn then.
		if err := ask(time.Minute); err == nil || err.Error() != "ask Loki at http://loki: no answer within 5s" {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		s     string
		limit int
		want  string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc…"},
		{"aüb", 2, "a…"}, // not in the middle of ü
		{"ü", 1, "…"},
		{"a\xffb", 5, "a\uFFFDb"},
		{"a\xffb", 4, "a\uFFFD…"},
		{"abc", 0, "…"},
	} {
		if got := Cut(test.s, test.limit); got != test.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", test.s, test.limit, got, test.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("aüb\xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 1<<10)
		if got := Cut(s, limit); !utf8.ValidString(got) || len(got) > limit+len("…") {
			t.Errorf("Cut(%q, %d) = %q", s, limit, got)
		}
	})
}
