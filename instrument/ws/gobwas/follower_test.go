package gobwas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// frame is what a follower knows when a frame has ended.
type frame struct {
	Header  ws.Header
	Sum     uint64 // control frames
	Code    ws.StatusCode
	Valid   bool  // the code
	Message int64 // size of the message that ends here, -1 if none does
}

// stream is what is found in bytes.
type stream struct {
	Frames    []frame
	Violation error
	Aligned   bool
}

// follow follows p, cut into pieces of the sizes in cuts.
func follow(p, cuts []byte) stream {
	f, s := follower{state: ws.StateServerSide}, stream{}
	for piece := range pieces(p, cuts) {
		for {
			var whole bool
			if piece, whole = f.next(piece); !whole {
				break
			}
			found := frame{Header: f.header, Message: -1}
			if f.header.OpCode.IsControl() && f.header.Length <= ws.MaxControlFramePayloadSize {
				found.Sum = f.control.sum
				if f.header.OpCode == ws.OpClose {
					found.Code, found.Valid = f.closeCode()
				}
			}
			if f.message() {
				found.Message = f.size
			}
			s.Frames = append(s.Frames, found)
		}
	}
	s.Violation, s.Aligned = f.violation, f.aligned()
	return s
}

func pieces(p, cuts []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, n := range cuts {
			n := min(int(n), len(p))
			if !yield(p[:n]) {
				return
			}
			p = p[n:]
		}
		yield(p)
	}
}

// read finds the same by ws alone.
func read(p []byte) stream {
	r, state, s, size := bytes.NewReader(p), ws.StateServerSide, stream{}, int64(0)
	violate := func(err error) {
		if s.Violation == nil {
			s.Violation = err
		}
	}
	for r.Len() > 0 {
		h, err := ws.ReadHeader(r)
		if err != nil {
			if errors.Is(err, ws.ErrHeaderLengthMSB) {
				violate(err)
			}
			return s
		}
		if err := ws.CheckHeader(h, state); err != nil {
			violate(err)
		}
		if h.OpCode.IsData() {
			if h.OpCode != ws.OpContinuation || !state.Fragmented() {
				size = 0
			}
			if state = state.Clear(ws.StateFragmented); !h.Fin {
				state = state.Set(ws.StateFragmented)
			}
		}
		if int64(r.Len()) < h.Length {
			return s
		}
		payload := make([]byte, h.Length)
		_, _ = io.ReadFull(r, payload)
		s.Frames = append(s.Frames, readFrame(ws.Frame{Header: h, Payload: payload}, &size))
	}
	s.Aligned = true
	return s
}

func readFrame(f ws.Frame, size *int64) frame {
	h := f.Header
	found := frame{Header: h, Message: -1}
	if h.OpCode.IsData() {
		if *size += h.Length; h.Fin && !h.OpCode.IsReserved() {
			found.Message = *size
		}
		return found
	}
	if h.Length > ws.MaxControlFramePayloadSize {
		return found
	}
	if h.Masked {
		f = ws.UnmaskFrame(f)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(f.Payload)
	found.Sum = sum.Sum64()
	switch {
	case h.OpCode != ws.OpClose:
	case h.Length == 0:
		found.Code, found.Valid = 1005, true
	default:
		found.Code, _ = ws.ParseCloseFrameData(f.Payload)
		found.Valid = found.Code >= 1012 && found.Code <= 1014 ||
			!found.Code.Empty() && ws.CheckCloseFrameData(found.Code, "") == nil
	}
	return found
}

// frames are a stream in which there is something of everything.
func frames(t testing.TB) []byte {
	var b bytes.Buffer
	for _, f := range []ws.Frame{
		ws.NewTextFrame([]byte("hello")),
		ws.NewPingFrame(nil),
		ws.NewFrame(ws.OpText, false, []byte("be")),
		ws.NewPongFrame([]byte("between")),
		ws.NewFrame(ws.OpContinuation, false, nil),
		ws.NewFrame(ws.OpContinuation, true, []byte("ginning and end")),
		ws.NewBinaryFrame(make([]byte, 126)),
		ws.NewBinaryFrame(nil),
		ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "restart")),
		ws.NewCloseFrame(nil),
		ws.NewCloseFrame([]byte{3}),
	} {
		if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	b.Write([]byte{0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6}) // a length that is longer than it needs to be
	return b.Bytes()
}

// FuzzFollower follows a stream in pieces and compares what is found with what ws finds in the whole; and sends it
// through a Conn, which must not change it.
func FuzzFollower(f *testing.F) {
	all := frames(f)
	f.Add(all, []byte{1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233})
	f.Add(all[:100], bytes.Repeat([]byte{1}, 100))
	f.Add([]byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5}, []byte{3, 0, 9})
	f.Add([]byte{0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x81, 0}, []byte{})
	f.Add([]byte{0x88, 0x7E, 0, 126}, []byte{})
	f.Add([]byte{0x82, 2, 0, 0, 0x80, 1, 0, 0x80, 1, 0}, []byte{})
	f.Add([]byte{0x80, 0, 0x01, 0, 0x82, 0, 0x83, 0, 0x8B, 0, 0xF1, 0}, []byte{})
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		if diff := cmp.Diff(read(p), follow(p, cuts), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("-ws +follower:\n%s", diff)
		}
		unchanged(t, p, cuts)
	})
}

// TestFollower has the stream cut at every place.
func TestFollower(t *testing.T) {
	all := frames(t)
	want := read(all)
	if len(want.Frames) != 12 || want.Violation != nil || !want.Aligned {
		t.Fatalf("ws finds %+v", want)
	}
	for cut := range len(all) {
		if diff := cmp.Diff(want, follow(all, []byte{byte(cut / 2), byte(cut - cut/2)})); diff != "" {
			t.Fatalf("cut at %d, -ws +follower:\n%s", cut, diff)
		}
	}
}

// TestFollowerLength follows the longest frame there can be.
func TestFollowerLength(t *testing.T) {
	f := follower{}
	head := binary.BigEndian.AppendUint64([]byte{0x82, 127}, math.MaxInt64)
	if _, whole := f.next(append(head, 0)); whole || f.left != math.MaxInt64-1 || f.aligned() {
		t.Errorf("%v left, aligned %v", f.left, f.aligned())
	}
	f.left = 1
	if rest, whole := f.next([]byte{0, 0x81}); !whole || !cmp.Equal(rest, []byte{0x81}) || f.size != math.MaxInt64 {
		t.Errorf("rest %v, whole %v, size %v", rest, whole, f.size)
	}
}

// memory is a connection that reads one slice of bytes and writes another.
type memory struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (m *memory) Read(p []byte) (int, error)  { return m.in.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.out.Write(p) }

func unchanged(t *testing.T, p, cuts []byte) {
	t.Helper()
	m := &memory{in: bytes.NewReader(p)}
	c := open(m, ws.Handshake{}, nil)
	c.CountMessages(nil)
	sent := bytes.Clone(p)
	for piece := range pieces(sent, cuts) {
		if n, err := c.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write: %v, %v", n, err)
		}
	}
	received, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(received, p) || !bytes.Equal(m.out.Bytes(), p) || !bytes.Equal(sent, p) {
		t.Error("the bytes were changed")
	}
}
