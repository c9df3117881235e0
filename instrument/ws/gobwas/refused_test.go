package gobwas_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// refused is how a handshake is refused, for the peer and for the observer.
type refused struct {
	answer int // 0: none
	status string
	kind   string // of the error, "" if it is none
	reason string // in the error
}

// handshakes are requests that ws refuses by itself.
func handshakes() map[string]struct {
	old, new string // in upgradeRequest
	want     refused
} {
	return map[string]struct {
		old, new string
		want     refused
	}{
		"not a GET":       {"GET", "POST", refused{405, "bad_handshake", "handshake", "method"}},
		"no upgrade":      {"Upgrade: websocket", "Upgrade: h2c", refused{400, "bad_handshake", "handshake", "Upgrade"}},
		"no connection":   {"Connection: Upgrade", "Connection: close", refused{400, "bad_handshake", "handshake", "Connection"}},
		"unknown version": {"Version: 13", "Version: 7", refused{426, "bad_handshake", "handshake", "Version"}},
		"no version":      {"Sec-WebSocket-Version: 13\r\n", "", refused{400, "bad_handshake", "handshake", "Version"}},
		"no key":          {"AAAAAA==", "", refused{400, "bad_handshake", "handshake", "Key"}},
		"HTTP/1.0":        {"HTTP/1.1", "HTTP/1.0", refused{505, "bad_handshake", "handshake", "version"}},
	}
}

// refusals are errors by which the application refuses a handshake.
func refusals() map[string]struct {
	err  error
	want refused
} {
	reject := func(status int) error {
		return ws.RejectConnectionError(ws.RejectionStatus(status), ws.RejectionReason("no"))
	}
	return map[string]struct {
		err  error
		want refused
	}{
		"redirected":         {reject(308), refused{308, "bad_handshake", "handshake", "no"}},
		"not authenticated":  {reject(401), refused{401, "unauthorized", "auth", "no"}},
		"not allowed":        {reject(403), refused{403, "forbidden", "auth", "no"}},
		"not found":          {reject(404), refused{404, "bad_handshake", "handshake", "no"}},
		"too often":          {reject(429), refused{429, "rate_limited", "", "no"}},
		"full":               {reject(503), refused{503, "over_capacity", "", "no"}},
		"draining":           {reject(503), refused{503, "draining", "", "no"}},
		"our own fault":      {errors.New("database down"), refused{500, "error", "handshake", "database down"}},
		"no status":          {ws.RejectConnectionError(), refused{500, "error", "handshake", ""}},
		"wrapped, as ws has": {errors.Join(reject(401)), refused{500, "error", "handshake", "no"}},
	}
}

// TestRefused has handshakes refused and compares what the peer gets, what is counted and what is logged.
func TestRefused(t *testing.T) {
	for name, tt := range handshakes() {
		request := strings.Replace(upgradeRequest, tt.old, tt.new, 1)
		t.Run("UpgradeHTTP/"+name, func(t *testing.T) {
			s := newServer(t)
			s.serveHTTP(t, ws.HTTPUpgrader{}, nil)
			s.refuses(t, request, tt.want)
		})
		t.Run("Upgrade/"+name, func(t *testing.T) {
			s := newServer(t)
			s.serveTCP(t, ws.Upgrader{}, nil)
			s.refuses(t, request, tt.want)
		})
	}
	extended := strings.Replace(upgradeRequest, "\r\n", "\r\nSec-WebSocket-Extensions: any\r\n", 1)
	for name, tt := range refusals() {
		negotiate := func(o httphead.Option) (httphead.Option, error) { return o, tt.err }
		t.Run("UpgradeHTTP/"+name, func(t *testing.T) {
			s := newServer(t)
			s.Observer.SetDraining(name == "draining")
			s.serveHTTP(t, ws.HTTPUpgrader{Negotiate: negotiate}, nil)
			s.refuses(t, extended, tt.want)
		})
		for where, u := range map[string]ws.Upgrader{
			"OnRequest":       {OnRequest: func([]byte) error { return tt.err }},
			"OnHost":          {OnHost: func([]byte) error { return tt.err }},
			"OnHeader":        {OnHeader: func(_, _ []byte) error { return tt.err }},
			"OnBeforeUpgrade": {OnBeforeUpgrade: func() (ws.HandshakeHeader, error) { return nil, tt.err }},
			"Negotiate":       {Negotiate: negotiate},
		} {
			t.Run("Upgrade/"+name+"/"+where, func(t *testing.T) {
				s := newServer(t)
				s.Observer.SetDraining(name == "draining")
				s.serveTCP(t, u, nil)
				s.refuses(t, extended, tt.want)
			})
		}
	}
}

// refuses sends a request.
func (s *server) refuses(t *testing.T, request string, want refused) {
	t.Helper()
	conn := s.connect(t)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want.answer {
		t.Errorf("answered %d, want %d", resp.StatusCode, want.answer)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the connection is not closed: %v", err)
	}
	s.refused(t, want)
}

// refused wants this to be counted and logged.
func (s *server) refused(t *testing.T, want refused) {
	t.Helper()
	counts := map[string]float64{
		`websocket_connections_total{status="` + want.status + `"}`:                1,
		`websocket_handshake_duration_seconds_count{status="` + want.status + `"}`: 1,
	}
	if want.kind != "" {
		counts[`websocket_errors_total{kind="`+want.kind+`"}`] = 1
	}
	if s.Observer.Draining() {
		counts[`websocket_draining{}`] = 1
	}
	s.ExpectOnly(counts)
	got := s.Record("handshake refused")
	text, _ := got["error"].(string)
	answer, _ := got["http_status"].(float64) // it is left out if there was no answer
	if got["status"] != want.status || answer != float64(want.answer) || !strings.Contains(text, want.reason) {
		t.Errorf("record is %v, want %+v", got, want)
	}
}

// TestRefusedUnanswered has requests without net/http go wrong in ways to which there is no answer.
func TestRefusedUnanswered(t *testing.T) {
	tests := map[string]struct {
		request string
		leave   func(*net.TCPConn) error
		reason  string
	}{
		"not HTTP":              {"hello\r\n", (*net.TCPConn).CloseWrite, "malformed"},
		"leaves":                {"GET / HTTP/1.1\r\nHost: a\r\nUpg", (*net.TCPConn).CloseWrite, "EOF"},
		"too slow":              {"GET / HTTP/1.1\r\nHost: a\r\n", func(*net.TCPConn) error { return nil }, "timeout"},
		"too slow, and so long": {"GET /" + strings.Repeat("long", 2000), func(*net.TCPConn) error { return nil }, "timeout"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.acceptOne(t, 100*time.Millisecond)
			conn := s.connect(t)
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			if err := tt.leave(conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			s.refused(t, refused{0, "bad_handshake", "handshake", tt.reason})
		})
	}
	t.Run("nothing sent", func(t *testing.T) {
		s := newServer(t)
		done := s.acceptOne(t, deadline)
		s.connect(t).Close()
		<-done
		s.ExpectOnly(map[string]float64{})
	})
}

// acceptOne accepts one TCP connection, whose handshake is to fail before the timeout or by it.
func (s *server) acceptOne(t *testing.T, timeout time.Duration) <-chan struct{} {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.url = "http://" + l.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(timeout))
		if _, _, err := gobwas.Upgrade(conn, ws.Upgrader{}, s.Observer); err == nil {
			t.Error("a handshake that must fail succeeded")
		}
	}()
	t.Cleanup(func() { <-done })
	return done
}

// TestRefusedByHijack has connections that can't be taken over.
func TestRefusedByHijack(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"no hijacker": func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} },
		"hijacked":    func(w http.ResponseWriter) http.ResponseWriter { return hijacked{w} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				c, _, err := gobwas.UpgradeHTTP(r, wrap(w), ws.HTTPUpgrader{}, s.Observer)
				s.handle(t, c, err, nil)
			}))
			s.refuses(t, upgradeRequest, refused{500, "error", "handshake", "ijack"})
		})
	}
}

// hijacked promises to be hijacked and then is not.
type hijacked struct{ http.ResponseWriter }

func (hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrHijacked }

var _ http.Hijacker = hijacked{}

// TestRefusedByNetwork has the peer vanish before it can be answered.
func TestRefusedByNetwork(t *testing.T) {
	s := newServer(t)
	gone := make(chan struct{})
	s.serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-gone
		u := ws.HTTPUpgrader{Timeout: time.Nanosecond}
		c, _, err := gobwas.UpgradeHTTP(r, w, u, s.Observer)
		s.handle(t, c, err, nil)
	}))
	conn := s.connect(t)
	if _, err := io.WriteString(conn, upgradeRequest); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	close(gone)
	s.refused(t, refused{0, "bad_handshake", "handshake", "timeout"})
}
