package transport

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestWhyWritingFails has the server close a connection and reset it, which the client notices when it writes: the
// reason is still to be read.
func TestWhyWritingFails(t *testing.T) {
	connected, reset := make(chan struct{}), make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err == nil {
			<-connected // or the frame comes with the handshake
			frame := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "reads too slowly")
			err = conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
			err = errors.Join(err, conn.NetConn().(*net.TCPConn).SetLinger(0), conn.Close())
		}
		reset <- err
	}))
	t.Cleanup(server.Close)
	c := dial(t, WebSocket, Options{Server: serverAt(t, server)}).Conn.(Socket)
	close(connected)
	if err := <-reset; err != nil {
		t.Fatal(err)
	}
	var err error
	for range 2 { // the second is after the reset for certain
		err = c.WriteFrame(websocket.TextMessage, []byte("hello"))
	}
	if err == nil {
		t.Error("it can write after the reset")
	}
	var end *EndError
	if err := c.Receive(func([]byte) {}); !errors.As(err, &end) || end.Code != websocket.ClosePolicyViolation ||
		end.Error() != "closed by the server with 1008 reads too slowly" {
		t.Errorf("ended because of %v, want 1008 reads too slowly", err)
	}
}
