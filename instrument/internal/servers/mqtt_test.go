package servers_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	mqttclient "github.com/eclipse/paho.mqtt.golang"
	gorillaws "github.com/gorilla/websocket"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws"
)

// A broker is an MQTT broker that counts the messages of its WebSockets by itself.
type broker struct {
	*mqtt.Server
	received, receivedBytes, sent, sentBytes atomic.Int64

	pings atomic.Int64 // PINGRESPs, which answer MQTT's own pings
}

// observedBroker serves a broker behind the handler, and returns the address of its WebSockets.
func observedBroker(t *testing.T) (*broker, *realtimetest.Recorder, string) {
	t.Helper()
	b := &broker{Server: mqtt.New(&mqtt.Options{})}
	if err := b.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r := realtimetest.New(t)
	front := httptest.NewServer(ws.Handler(r.Observer, b))
	t.Cleanup(front.Close)
	return b, r, "ws" + strings.TrimPrefix(front.URL, "http")
}

// ServeHTTP hands the broker a stream of bytes, as its own listener does.
func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := gorillaws.Upgrader{Subprotocols: []string{"mqtt"}}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	_ = b.EstablishConnection("ws", &packets{Conn: c.NetConn(), socket: c, broker: b})
}

// packets are what a WebSocket carries in its messages.
type packets struct {
	net.Conn
	socket *gorillaws.Conn
	broker *broker
	rest   io.Reader // of a message
}

func (p *packets) Read(buf []byte) (int, error) {
	for {
		if p.rest == nil {
			_, data, err := p.socket.ReadMessage()
			if err != nil {
				return 0, err
			}
			p.broker.received.Add(1)
			p.broker.receivedBytes.Add(int64(len(data)))
			p.rest = strings.NewReader(string(data))
		}
		n, err := p.rest.Read(buf)
		if err == nil {
			return n, nil
		}
		p.rest = nil
	}
}

func (p *packets) Write(data []byte) (int, error) {
	if err := p.socket.WriteMessage(gorillaws.BinaryMessage, data); err != nil {
		return 0, err
	}
	p.broker.sent.Add(1)
	p.broker.sentBytes.Add(int64(len(data)))
	if len(data) > 0 && data[0] == 0xd0 {
		p.broker.pings.Add(1)
	}
	return len(data), nil
}

// await waits for what a client has begun.
func await(t *testing.T, token mqttclient.Token) {
	t.Helper()
	if !token.WaitTimeout(deadline) || token.Error() != nil {
		t.Fatalf("MQTT: %v", token.Error())
	}
}

// TestMQTT has a client of MQTT subscribe, publish and keep its connection alive, and compares what the handler has
// counted with what the broker has.
func TestMQTT(t *testing.T) {
	b, r, url := observedBroker(t)
	options := mqttclient.NewClientOptions().AddBroker(url).SetClientID("ada").SetKeepAlive(4 * time.Second).SetAutoReconnect(false)
	client := mqttclient.NewClient(options)
	await(t, client.Connect())
	heard := make(chan string, 10)
	await(t, client.Subscribe("rooms/lobby", 1, func(_ mqttclient.Client, m mqttclient.Message) { heard <- string(m.Payload()) }))
	for _, text := range []string{"hello", "", strings.Repeat("x", 70_000)} {
		await(t, client.Publish("rooms/lobby", 1, false, text))
		if got := <-heard; got != text {
			t.Errorf("%d bytes come back, want %d", len(got), len(text))
		}
	}
	for end := time.Now().Add(deadline); b.pings.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the client does not ping")
		}
	}
	client.Disconnect(0) // it may close before the broker does, or after
	_ = r.Record("connection closed")
	got := r.Metrics()
	for series, want := range map[string]float64{
		`websocket_connections_total{status="connected"}`:             1,
		`websocket_messages_total{direction="receive",type="other"}`:  float64(b.received.Load()),
		`websocket_messages_total{direction="transmit",type="other"}`: float64(b.sent.Load()),
		`websocket_message_size_bytes_sum{direction="receive"}`:       float64(b.receivedBytes.Load()),
		`websocket_message_size_bytes_sum{direction="transmit"}`:      float64(b.sentBytes.Load()),
		`websocket_pings_total{result="pong"}`:                        0, // MQTT's pings are messages
		`websocket_ping_rtt_seconds_count{}`:                          0,
		`websocket_message_duration_seconds_count{type="other"}`:      0, // handling is not seen
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
	if b.received.Load() < 6 || b.sent.Load() < 6 {
		t.Errorf("the broker has received %d messages and sent %d", b.received.Load(), b.sent.Load())
	}
}

// TestMQTTEnds has connections end as they do in MQTT, which is not always by a close frame.
func TestMQTTEnds(t *testing.T) {
	connect := func(version, keepAlive byte) []byte {
		return []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', version, 2, 0, keepAlive, 0, 1, 'a'}
	}
	for name, life := range map[string]struct {
		connect []byte
		leave   func(t *testing.T, p *peer)
		want    end
	}{
		"DISCONNECT": {connect(4, 60), func(t *testing.T, p *peer) {
			p.send(t, []byte{0xe0, 0})
			p.hearClose(t, -1)
		}, end{initiator: "local", reason: "normal", code: 1006}},
		"CONNECT is refused": {connect(9, 60), func(t *testing.T, p *peer) {
			p.hearClose(t, -1)
		}, end{initiator: "local", reason: "normal", code: 1006}},
		"a packet that is none": {connect(4, 60), func(t *testing.T, p *peer) {
			p.send(t, []byte{0, 0})
			p.hearClose(t, -1)
		}, end{initiator: "local", reason: "normal", code: 1006}},
		"a close frame": {connect(4, 60), func(_ *testing.T, p *peer) {
			_ = p.Close(websocket.StatusNormalClosure, "")
		}, end{initiator: "remote", reason: "normal", code: 1000}},
		"the client vanishes": {connect(4, 60), func(_ *testing.T, p *peer) {
			_ = p.tcp.Close()
		}, end{initiator: "network", reason: "abnormal", code: 1006, errors: []string{"read"}}},
		"silence for longer than the keep alive": {connect(4, 1), func(t *testing.T, p *peer) {
			p.hearClose(t, -1)
		}, end{initiator: "local", reason: "idle_timeout", code: 1006}},
	} {
		t.Run(name, func(t *testing.T) {
			_, r, url := observedBroker(t)
			p := dial(t, url, server{subprotocol: "mqtt"})
			if got := p.Subprotocol(); got != "mqtt" {
				t.Errorf("the subprotocol is %q", got)
			}
			p.send(t, life.connect)
			p.hear(t) // CONNACK
			life.leave(t, p)
			ended(t, r, p, life.want)
		})
	}
}

// send sends a packet of MQTT.
func (p *peer) send(t *testing.T, packet []byte) {
	t.Helper()
	if err := p.Write(p.ctx, websocket.MessageBinary, packet); err != nil {
		t.Fatal(err)
	}
	p.sent++
	p.sentBytes += len(packet)
}
