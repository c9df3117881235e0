package servers_test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws"
)

const (
	deadline   = 20 * time.Second
	pingPeriod = 50 * time.Millisecond // of servers that ping by themselves
)

// A peer is a client that counts what it sends and receives.
type peer struct {
	*websocket.Conn
	ctx                      context.Context
	tcp                      net.Conn
	sent, received           int
	sentBytes, receivedBytes int
	pinged                   chan struct{}
}

// observed serves a server behind the handler.
func observed(t *testing.T, s server) (*realtimetest.Recorder, string) {
	t.Helper()
	r := realtimetest.New(t)
	front := httptest.NewUnstartedServer(ws.Handler(r.Observer, s.handler(t)))
	front.Config.ErrorLog = quiet() // of panics
	front.Start()
	t.Cleanup(front.Close)
	return r, front.URL
}

func dial(t *testing.T, url string, s server) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	p := &peer{ctx: ctx, pinged: make(chan struct{}, 100)}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		var err error
		p.tcp, err = d.DialContext(ctx, network, addr)
		return p.tcp, err
	}}}
	opts := &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: http.Header{"Origin": {url}},
		OnPingReceived: func(context.Context, []byte) bool { p.pinged <- struct{}{}; return true },
	}
	if s.subprotocol != "" {
		opts.Subprotocols = []string{s.subprotocol}
	}
	c, _, err := websocket.Dial(ctx, url, opts)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	p.Conn = c
	return p
}

func (p *peer) say(t *testing.T, text string) {
	t.Helper()
	if err := p.Write(p.ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	p.sent++
	p.sentBytes += len(text)
}

func (p *peer) hear(t *testing.T) {
	t.Helper()
	_, got, err := p.Read(p.ctx)
	if err != nil {
		t.Fatal(err)
	}
	p.received++
	p.receivedBytes += len(got)
}

func (p *peer) talk(t *testing.T, s server) {
	t.Helper()
	for _, turn := range s.talk {
		p.say(t, turn.say)
		for range turn.answers {
			p.hear(t)
		}
	}
}

// hearClose reads until the server closes, and wants it to do so with a code, -1 if without a close frame.
func (p *peer) hearClose(t *testing.T, code int) {
	t.Helper()
	_, _, err := p.Read(p.ctx)
	if got := int(websocket.CloseStatus(err)); got != code {
		t.Errorf("the peer read %v, want close code %d", err, code)
	}
}

// An end is how a connection ends.
type end struct {
	initiator, reason string
	code              int
	errors            []string // the kinds
	pings             map[string]float64
}

// counts are the series after the life of one connection.
func (p *peer) counts(e end) map[string]float64 {
	all := map[string]float64{
		`websocket_connections_total{status="connected"}`:                                           1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:                            1,
		`websocket_disconnections_total{initiator="` + e.initiator + `",reason="` + e.reason + `"}`: 1,
		`websocket_connection_duration_seconds_count{reason="` + e.reason + `"}`:                    1,
		`websocket_messages_total{direction="receive",type="other"}`:                                float64(p.sent),
		`websocket_messages_total{direction="transmit",type="other"}`:                               float64(p.received),
		`websocket_message_size_bytes_count{direction="receive"}`:                                   float64(p.sent),
		`websocket_message_size_bytes_count{direction="transmit"}`:                                  float64(p.received),
		`websocket_message_size_bytes_sum{direction="receive"}`:                                     float64(p.sentBytes),
		`websocket_message_size_bytes_sum{direction="transmit"}`:                                    float64(p.receivedBytes),
	}
	for _, kind := range e.errors {
		all[`websocket_errors_total{kind="`+kind+`"}`]++
	}
	for result, n := range e.pings {
		all[`websocket_pings_total{result="`+result+`"}`] = n
		if result == "pong" {
			all[`websocket_ping_rtt_seconds_count{}`] = n
		}
	}
	return all
}

// ended wants one connection to have ended like this, and nothing else to have happened.
func ended(t *testing.T, r *realtimetest.Recorder, p *peer, want end, but ...string) {
	t.Helper()
	r.ExpectOnly(p.counts(want), but...)
	closed := r.Record("connection closed")
	type cause struct{ Initiator, Reason, Code any }
	if diff := cmp.Diff(cause{want.initiator, want.reason, float64(want.code)},
		cause{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
		t.Errorf("record `connection closed`, -want +got:\n%s", diff)
	}
}

// reasons are those of the codes that the servers close with.
func reason(code int) string {
	switch code {
	case 1000:
		return "normal"
	case 1002:
		return "protocol_error"
	case busy:
		return "try_again_later"
	default:
		return "other"
	}
}

// TestLives has each server live each life, with a real peer, and compares everything that is counted.
func TestLives(t *testing.T) {
	for name, s := range servers() {
		lives := map[string]func(t *testing.T, r *realtimetest.Recorder, url string){
			"the peer leaves": func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.talk(t, s)
				reading := p.CloseRead(p.ctx)
				if err := p.Ping(p.ctx); err != nil {
					t.Fatal(err)
				}
				_ = p.Close(websocket.StatusGoingAway, "")
				<-reading.Done()
				ended(t, r, p, end{initiator: "remote", reason: "going_away", code: 1001}, s.free()...)
			},
			"the server closes": func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.talk(t, s)
				p.say(t, s.closes)
				p.hearClose(t, s.code)
				want := end{initiator: "local", reason: reason(s.code), code: s.code}
				if want.reason == "protocol_error" {
					want.errors = []string{"read"}
				}
				ended(t, r, p, want, s.free()...)
			},
			"the peer is cut off": func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.talk(t, s)
				if err := p.tcp.(*net.TCPConn).SetLinger(0); err != nil {
					t.Fatal(err)
				}
				_ = p.tcp.Close()
				ended(t, r, p, end{initiator: "network", reason: "abnormal", code: 1006, errors: []string{"read"}}, s.free()...)
			},
			"the request is refused": func(t *testing.T, r *realtimetest.Recorder, url string) {
				resp := request(t, url, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}})
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("answered %s, want 400", resp.Status)
				}
				r.ExpectOnly(map[string]float64{
					`websocket_connections_total{status="bad_handshake"}`:                1,
					`websocket_handshake_duration_seconds_count{status="bad_handshake"}`: 1,
					`websocket_errors_total{kind="handshake"}`:                           1,
				})
				if refused := r.Record("handshake refused"); refused["http_status"] != 400. {
					t.Errorf("record is %v, want status 400", refused)
				}
			},
			"the server drains": func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.talk(t, s)
				drained := make(chan error, 1)
				go func() { drained <- r.Observer.Drain(p.ctx) }()
				p.hearClose(t, 1001)
				if err := <-drained; err != nil {
					t.Error(err)
				}
				ended(t, r, p, end{initiator: "local", reason: "shutdown", code: 1001}, append(s.free(), "websocket_draining")...)
			},
		}
		if s.pings {
			lives["the server pings"] = func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.say(t, askPing)
				p.hear(t)
				_ = p.Close(websocket.StatusNormalClosure, "")
				want := end{initiator: "remote", reason: "normal", code: 1000, pings: map[string]float64{"pong": 1}}
				ended(t, r, p, want)
			}
		}
		if s.pingsItself {
			lives["the server pings"] = func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				reading := p.CloseRead(p.ctx)
				for range 3 {
					<-p.pinged // after the answer to the one before has been sent
				}
				_ = p.Close(websocket.StatusNormalClosure, "")
				<-reading.Done()
				ended(t, r, p, end{initiator: "remote", reason: "normal", code: 1000}, s.free()...)
				if got := r.Metrics(); got[`websocket_ping_rtt_seconds_count{}`] < 2 {
					t.Errorf("%v pongs, want at least 2", got[`websocket_ping_rtt_seconds_count{}`])
				}
			}
		}
		if s.cuts {
			lives["the server cuts"] = func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.say(t, askCut)
				p.hearClose(t, -1)
				_ = p.CloseNow() // a proxy waits for it
				ended(t, r, p, end{initiator: "local", reason: "normal", code: 1006})
			}
		}
		if s.panics {
			lives["the server panics"] = func(t *testing.T, r *realtimetest.Recorder, url string) {
				p := dial(t, url, s)
				p.say(t, askPanic)
				_, _, err := p.Read(p.ctx)
				code := 1006
				if got := int(websocket.CloseStatus(err)); got == 1011 {
					code = 1011
				}
				ended(t, r, p, end{initiator: "local", reason: "internal", code: code, errors: []string{"panic"}}, s.free()...)
			}
		}
		for life, live := range maps.All(lives) {
			t.Run(name+"/"+life, func(t *testing.T) {
				r, url := observed(t, s)
				live(t, r, url)
			})
		}
	}
}

// free are the series of a server that pings by itself, which nobody can foretell.
func (s server) free() []string {
	if s.pingsItself {
		return []string{"websocket_ping"}
	}
	return nil
}

// request sends a request and returns its answer.
func request(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
