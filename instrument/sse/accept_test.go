package sse_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
)

// TestAccept compares the answers to requests, over both versions of HTTP.
func TestAccept(t *testing.T) {
	type answer struct {
		Code                                     int
		ContentType, CacheControl, Buffer, Allow string
	}
	stream := answer{Code: 200, ContentType: "text/event-stream", CacheControl: "no-cache, no-transform", Buffer: "no"}
	notAcceptable := answer{Code: 406, ContentType: "text/plain; charset=utf-8"}
	tests := map[string]struct {
		method string
		accept []string
		want   answer
		reason string
	}{
		"browser":                   {http.MethodGet, []string{"text/event-stream"}, stream, ""},
		"no Accept":                 {http.MethodGet, nil, stream, ""},
		"empty Accept":              {http.MethodGet, []string{""}, stream, ""},
		"anything":                  {http.MethodGet, []string{"*/*"}, stream, ""},
		"any text, in capitals":     {http.MethodGet, []string{"image/png, TEXT/*;q=0.1"}, stream, ""},
		"second header":             {http.MethodGet, []string{"application/json", "text/event-stream"}, stream, ""},
		"weight that is none":       {http.MethodGet, []string{"text/event-stream;q=lots"}, stream, ""},
		"nothing else":              {http.MethodGet, []string{"text/event-stream, */*;q=0"}, stream, ""},
		"something else":            {http.MethodGet, []string{"application/json"}, notAcceptable, "Accept"},
		"excluded":                  {http.MethodGet, []string{"*/*, text/event-stream;q=0"}, notAcceptable, "Accept"},
		"excluded with other texts": {http.MethodGet, []string{"*/*, text/*; level=1 ;q=0.000"}, notAcceptable, "Accept"},
		"POST":                      {http.MethodPost, []string{"application/json, text/event-stream"}, stream, ""},
		"neither GET nor POST": {
			http.MethodPut, nil,
			answer{Code: 405, ContentType: "text/plain; charset=utf-8", Allow: "GET, POST"}, "by GET or POST",
		},
	}
	for version, p := range protocols() {
		for name, tt := range tests {
			t.Run(version+"/"+name, func(t *testing.T) {
				s := serve(t, p, func(srv *server, w http.ResponseWriter, r *http.Request) {
					if stream, err := sse.Accept(w, r, srv.Observer); err == nil {
						stream.Close()
					}
				})
				transport := &http.Transport{Protocols: p}
				defer transport.CloseIdleConnections()
				req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header["Accept"] = tt.accept
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				h := resp.Header
				got := answer{resp.StatusCode, h.Get("Content-Type"), h.Get("Cache-Control"), h.Get("X-Accel-Buffering"), h.Get("Allow")}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("answer, -want +got:\n%s", diff)
				}
				want := ended("local", "normal")
				if tt.want.Code != http.StatusOK {
					want = refused("bad_handshake", "handshake")
				}
				s.ExpectOnly(want)
				if tt.reason != "" {
					record := s.Record("handshake refused")
					if text, _ := record["error"].(string); record["http_status"] != float64(tt.want.Code) || !strings.Contains(text, tt.reason) {
						t.Errorf("record is %v, want http_status %d, error with %q", record, tt.want.Code, tt.reason)
					}
				}
			})
		}
	}
}

// refused is what is counted for one refused request.
func refused(status, kind string) map[string]float64 {
	return map[string]float64{
		`sse_connections_total{status="` + status + `"}`:                1,
		`sse_handshake_duration_seconds_count{status="` + status + `"}`: 1,
		`sse_errors_total{kind="` + kind + `"}`:                         1,
	}
}

// unwrapping is what most middlewares put in front of a ResponseWriter.
type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// flushing is what older middlewares put in front of it.
type flushing struct{ http.ResponseWriter }

func (w flushing) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// broken loses its connection before the header is out.
type broken struct{ http.ResponseWriter }

func (broken) FlushError() error { return io.ErrClosedPipe }

// TestMiddlewares accepts streams through wrapped ResponseWriters, and refuses them where nothing could be flushed.
func TestMiddlewares(t *testing.T) {
	hello := []received{{Type: "message", Data: "hello"}}
	tests := map[string]struct {
		wrap   func(http.ResponseWriter) http.ResponseWriter
		code   int
		events []received
		want   map[string]float64
	}{
		"none": {
			func(w http.ResponseWriter) http.ResponseWriter { return w }, 200, hello, ended("local", "normal"),
		},
		"Unwrap": {
			func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} }, 200, hello, ended("local", "normal"),
		},
		"Flush, nested": {
			func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{flushing{unwrapping{w}}} }, 200, hello,
			ended("local", "normal"),
		},
		"no flusher": {
			func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{struct{ http.ResponseWriter }{w}} }, 500, nil,
			refused("error", "handshake"),
		},
		"connection lost": {
			func(w http.ResponseWriter) http.ResponseWriter { return broken{w} }, 200, nil, refused("bad_handshake", "handshake"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
				stream, err := sse.Accept(tt.wrap(w), r, srv.Observer)
				if err != nil {
					return
				}
				defer stream.Close()
				if err := stream.Send(sse.Event{Data: []byte("hello")}); err != nil {
					t.Errorf("send: %v", err)
				}
			})
			c := connect(t, s, nil)
			if c.StatusCode != tt.code {
				t.Errorf("answered %d, want %d", c.StatusCode, tt.code)
			}
			if diff := cmp.Diff(tt.events, c.read()); diff != "" {
				t.Errorf("received, -want +got:\n%s", diff)
			}
			s.ExpectOnly(tt.want)
		})
	}
}

// TestHandshakeOfTheApplication has the application begin the handshake and refuse or leave it to Accept: either way
// there is one.
func TestHandshakeOfTheApplication(t *testing.T) {
	s := serve(t, protocols()["HTTP1"], func(srv *server, w http.ResponseWriter, r *http.Request) {
		ctx, h := srv.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
			return
		}
		stream, err := sse.Accept(w, r.WithContext(ctx), srv.Observer)
		if err != nil {
			t.Error(err)
			return
		}
		stream.Close()
	})
	if c := connect(t, s, nil); c.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered %d without a token, want 401", c.StatusCode)
	}
	if c := connect(t, s, http.Header{"Authorization": {"Bearer x"}}); c.StatusCode != http.StatusOK {
		t.Errorf("answered %d, want 200", c.StatusCode)
	}
	want := ended("local", "normal")
	for k, v := range refused("unauthorized", "auth") {
		want[k] = v
	}
	s.ExpectOnly(want)
}

// TestUnobserved serves a stream without an observer.
func TestUnobserved(t *testing.T) {
	s := new(server)
	s.start(t, protocols()["HTTP1"], func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer stream.Close()
		stream.CountMessages(nil)
		if err := errors.Join(stream.Comment("hello"), stream.Send(sse.Event{ID: "1", Data: []byte("x")})); err != nil {
			t.Error(err)
		}
	})
	want := []received{{Type: "message", Data: "x", LastEventID: "1"}}
	if diff := cmp.Diff(want, connect(t, s, nil).read()); diff != "" {
		t.Errorf("received, -want +got:\n%s", diff)
	}
}

// TestResume tells a peer that comes back from a new one, in the handshake's span and for the handler.
func TestResume(t *testing.T) {
	tests := map[string]struct {
		header http.Header
		id     string
	}{
		"new":         {nil, ""},
		"comes back":  {http.Header{"Last-Event-Id": {"42 ä"}}, "42 ä"},
		"too long":    {http.Header{"Last-Event-Id": {strings.Repeat("x", 257)}}, ""},
		"not UTF-8":   {http.Header{"Last-Event-Id": {"\xff"}}, ""},
		"longest one": {http.Header{"Last-Event-Id": {strings.Repeat("x", 256)}}, strings.Repeat("x", 256)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t, instrument.WithProtocol(sse.Protocol))
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
			r.Header = tt.header
			stream, err := sse.Accept(httptest.NewRecorder(), r, recorder.Observer)
			if err != nil {
				t.Fatal(err)
			}
			stream.Close()
			if got := stream.LastEventID(); got != tt.id {
				t.Errorf("LastEventID is %q, want %q", got, tt.id)
			}
			handshake := recorder.Spans()[0]
			resumed := false
			for _, a := range handshake.Attributes() {
				resumed = resumed || a == attribute.Bool("sse.resume", true)
			}
			if handshake.Name() != "sse.handshake" || resumed != (tt.id != "") {
				t.Errorf("span %s with %v, want sse.handshake, resumed: %v", handshake.Name(), handshake.Attributes(), tt.id != "")
			}
		})
	}
}
