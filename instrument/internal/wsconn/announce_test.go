package wsconn

import (
	"bytes"
	"net"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
)

// hasty is a peer that answers, and whose answer is read, before Write has returned.
type hasty struct {
	net.Conn
	answer []byte
	read   func()
}

func (h *hasty) Write(p []byte) (int, error) {
	h.read()
	return len(p), nil
}

func (h *hasty) Read(p []byte) (int, error) { return copy(p, h.answer), nil }

// TestAnsweredBeforeWriteReturns reads the answers to a ping and to a close frame while they are being written.
func TestAnsweredBeforeWriteReturns(t *testing.T) {
	var frames bytes.Buffer
	for _, f := range []ws.Frame{ws.NewPongFrame(nil), ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))} {
		if err := ws.WriteFrame(&frames, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	peer := &hasty{answer: frames.Bytes()}
	c := New(peer)
	c.Begin(Config{}, nil)
	peer.read = func() {
		if n, err := c.Read(make([]byte, 100)); n != len(peer.answer) || err != nil {
			t.Errorf("Read: %v, %v", n, err)
		}
	}
	if _, err := c.Write(append(bytes.Clone(ws.CompiledPing), ws.CompiledCloseNormalClosure...)); err != nil {
		t.Fatal(err)
	}
	if c.pings.waiting() {
		t.Error("the ping is not answered")
	}
	if got := *c.ending.Load(); got != local(instrument.ReasonNormal, 1000) {
		t.Errorf("the connection ends for %+v, want our own close frame", got)
	}
}
