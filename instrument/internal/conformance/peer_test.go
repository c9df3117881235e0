package conformance_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is for what is certain to happen.
const patience = time.Minute

const upgrade = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n\r\n"

// A peer is a client with its hands on the TCP connection.
type peer struct {
	t   *testing.T
	tcp *net.TCPConn
	in  *bufio.Reader
}

// ask sends a request.
func ask(t *testing.T, url, request string) *peer {
	t.Helper()
	dialed, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialed.Close() })
	if err := dialed.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p := &peer{t, dialed.(*net.TCPConn), bufio.NewReader(dialed)}
	p.send([]byte(request))
	return p
}

// upgraded wants the request to have become a WebSocket.
func (p *peer) upgraded() {
	p.t.Helper()
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("answered %s", resp.Status)
	}
}

func (p *peer) send(bytes []byte) {
	p.t.Helper()
	if _, err := p.tcp.Write(bytes); err != nil {
		p.t.Error(err)
	}
}

// frame returns a frame of a client, masked by zeros.
func frame(first byte, payload ...byte) []byte {
	head := []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	if len(payload) > 125 {
		head = append(binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload))), 0, 0, 0, 0)
	}
	return append(head, payload...)
}

// closeFrame returns a close frame of a client.
func closeFrame(code int, reason string) []byte {
	return frame(0x88, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)...)
}

// readAll reads until the server closes the connection.
func (p *peer) readAll() { _, _ = io.Copy(io.Discard, p.in) }

// answerClose reads until there is a close frame, and answers it. Nothing else may have been sent but small frames.
func (p *peer) answerClose() {
	p.t.Helper()
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(p.in, head); err != nil {
			return // cut
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(p.in, payload); err != nil {
			p.t.Error(err)
			return
		}
		if head[0] == 0x88 {
			_, _ = p.tcp.Write(frame(0x88, payload...)) // unless the server does not wait for it
			p.readAll()
			return
		}
	}
}

func (p *peer) leave() { _ = p.tcp.Close() }

func (p *peer) reset() {
	p.t.Helper()
	if err := p.tcp.SetLinger(0); err != nil {
		p.t.Error(err)
	}
	_ = p.tcp.Close()
}
