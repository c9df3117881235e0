package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// subject is a server that is compared, and its protocol.
type subject interface {
	name() string
	// command returns how to run it: it keeps what it has to in dir, and pings nobody, because nobody answers.
	command(dir, address string) ([]string, error)
	// dial returns where to connect.
	dial(address string) (url string, header http.Header, err error)
	// join makes a connection a subscriber, to which nothing is sent any more but messages.
	join(*websocket.Conn) error
	// publish returns what a subscriber sends for all to get the text.
	publish(text string) ([]byte, error)
}

const channel = "lobby"

// demo is the repository's own.
type demo struct {
	program string
	key     []byte
}

func newDemo(program string) *demo {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return &demo{program, key}
}

func (*demo) name() string { return "demo" }

func (d *demo) command(dir, address string) ([]string, error) {
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString(d.key)), 0o600); err != nil {
		return nil, err
	}
	return []string{
		d.program, "demo", "--listen=" + address, "--auth-key-file=" + key, "--history=" + filepath.Join(dir, "history.db"),
		"--heartbeat=24h", "--message-rate=1e6", "--message-burst=1000000", "--log-level=warn", "--drain-spread=1ms",
	}, nil
}

func (d *demo) dial(address string) (string, http.Header, error) {
	authority, err := auth.New([]byte(hex.EncodeToString(d.key)))
	if err != nil {
		return "", nil, err
	}
	token, err := authority.Issue("Ada", nil, 24*time.Hour)
	return "ws://" + address + "/ws", http.Header{"Authorization": {"Bearer " + token}}, err
}

func (*demo) join(conn *websocket.Conn) error {
	f, err := wire.NewFrame(wire.TypeJoin, "", wire.JoinPayload{Room: channel})
	if err != nil {
		return err
	}
	return ask(conn, f.Data, `"success":true`)
}

func (*demo) publish(text string) ([]byte, error) {
	f, err := wire.NewFrame(wire.TypeMessage, "", wire.MessagePayload{Room: channel, Text: text})
	if err != nil {
		return nil, err
	}
	return f.Data, nil
}

// centrifugo is a widely used server for the same purpose.
type centrifugo struct{ program string }

func newCentrifugo(program string) *centrifugo { return &centrifugo{program} }

func (*centrifugo) name() string { return "centrifugo" }

func (c *centrifugo) command(dir, address string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"client":      map[string]any{"insecure": true, "ping_interval": "24h", "pong_timeout": "1h"},
		"http_server": map[string]any{"address": host, "port": port},
		"log":         map[string]any{"level": "error"},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config.json")
	return []string{c.program, "--config=" + file}, os.WriteFile(file, config, 0o600)
}

func (*centrifugo) dial(address string) (string, http.Header, error) {
	return "ws://" + address + "/connection/websocket", nil, nil
}

func (*centrifugo) join(conn *websocket.Conn) error {
	if err := ask(conn, []byte(`{"id":1,"connect":{}}`), `"connect":`); err != nil {
		return err
	}
	return ask(conn, fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":%q}}`, channel), `"subscribe":`)
}

func (*centrifugo) publish(text string) ([]byte, error) {
	return fmt.Appendf(nil, `{"id":3,"publish":{"channel":%q,"data":{"text":%q}}}`, channel, text), nil
}

// ask sends a request, and reads until an answer says that it was granted.
func ask(conn *websocket.Conn, request []byte, granted string) error {
	if err := conn.WriteMessage(websocket.TextMessage, request); err != nil {
		return err
	}
	for {
		_, data, err := conn.ReadMessage()
		switch {
		case err != nil:
			return err
		case strings.Contains(string(data), granted):
			return nil
		case strings.Contains(string(data), `"error"`):
			return fmt.Errorf("%s was answered %s", request, data)
		}
	}
}
