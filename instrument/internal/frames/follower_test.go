package frames_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/instrument/internal/frames"
)

// frame is what a Follower knows when a frame has ended.
type frame struct {
	Header  frames.Header
	Sum     uint64 // control frames
	Code    int
	Invalid bool // the close frame
	Op      frames.Opcode
	Message int64 // size of the message that ends here, -1 if none does
}

// stream is what is found in bytes.
type stream struct {
	Frames    []frame
	Violation error
	Aligned   bool
}

// glance is follow by Whole and Piece where they can tell, and by Next elsewhere. It returns the messages, and how the
// stream ends.
func glance(p, cuts []byte) (messages []frame, end stream) {
	f := frames.New(frames.Config{Client: true})
	for piece := range pieces(p, cuts) {
		if op, size, ok := f.Whole(piece); ok {
			messages = append(messages, frame{Op: op, Message: int64(size)})
			continue
		}
		if op, size, ended, followed := f.Piece(piece); followed {
			if ended {
				messages = append(messages, frame{Op: op, Message: int64(size)})
			}
			continue
		}
		for {
			var whole bool
			if piece, whole = f.Next(piece); !whole {
				break
			}
			if op, size, ok := f.Message(); ok {
				messages = append(messages, frame{Op: op, Message: size})
			}
		}
	}
	return messages, stream{Violation: f.Violation(), Aligned: f.Aligned()}
}

// compareGlance compares what is found at a glance with what is found thoroughly.
func compareGlance(t testing.TB, p, cuts []byte, thorough stream) {
	t.Helper()
	var want []frame
	for _, f := range thorough.Frames {
		if f.Message >= 0 {
			want = append(want, frame{Op: f.Op, Message: f.Message})
		}
	}
	messages, end := glance(p, cuts)
	if diff := cmp.Diff(want, messages); diff != "" || end.Aligned != thorough.Aligned || !errors.Is(end.Violation, thorough.Violation) {
		t.Errorf("at a glance, aligned %v, %v (-thoroughly +at a glance):\n%s", end.Aligned, end.Violation, diff)
	}
}

// follow follows p, cut into pieces of the sizes in cuts.
func follow(t testing.TB, p, cuts []byte) stream {
	t.Helper()
	f, s := frames.New(frames.Config{Client: true}), stream{}
	for piece := range pieces(p, cuts) {
		may, controls := f.MayControl(piece), 0
		glance, before := f, len(s.Frames)
		op, size, whole := glance.Whole(piece)
		for {
			var whole bool
			if piece, whole = f.Next(piece); !whole {
				break
			}
			found := frame{Header: f.Header(), Message: -1}
			if control(found.Header.Opcode) {
				controls++
				if found.Header.Length <= ws.MaxControlFramePayloadSize {
					found.Sum = f.Sum()
				}
				if found.Header.Opcode == frames.Close {
					code, err := f.CloseCode()
					found.Code, found.Invalid = code, errors.Is(err, frames.ErrClose)
				}
			}
			if op, size, ok := f.Message(); ok {
				found.Op, found.Message = op, size
			}
			s.Frames = append(s.Frames, found)
		}
		if whole && (!f.Aligned() || len(s.Frames) != before+1 || s.Frames[before].Op != op || s.Frames[before].Message != int64(size)) {
			t.Errorf("at a glance a message with opcode %d and %d bytes, found %+v", op, size, s.Frames[before:])
		}
		if controls > 0 && !may {
			t.Errorf("%d control frames end in a piece that may hold none", controls)
		}
	}
	s.Violation, s.Aligned = f.Violation(), f.Aligned()
	compareGlance(t, p, cuts, s)
	return s
}

func control(op frames.Opcode) bool { return op&8 != 0 }

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

// read finds the same by package ws.
func read(p []byte) stream {
	r, state, s := bytes.NewReader(p), ws.StateServerSide, stream{}
	var op frames.Opcode
	var size int64
	for r.Len() > 0 {
		h, err := ws.ReadHeader(r)
		if err != nil {
			s.violate(err)
			return s
		}
		violation := ws.CheckHeader(h, state)
		s.violate(violation)
		if h.OpCode.IsData() {
			if h.OpCode != ws.OpContinuation || !state.Fragmented() {
				op, size = frames.Opcode(h.OpCode), 0
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
		size += h.Length
		found := readFrame(h, payload)
		if violation != nil { // which comes before what the frame holds
			found.Code, found.Invalid = 0, false
		}
		if h.OpCode.IsData() && h.Fin && !h.OpCode.IsReserved() {
			found.Op, found.Message = op, size
		}
		if h.OpCode.IsControl() {
			size -= h.Length
		}
		s.Frames = append(s.Frames, found)
	}
	s.Aligned = true
	return s
}

// violate translates the errors of package ws.
func (s *stream) violate(err error) {
	if s.Violation != nil {
		return
	}
	for want, all := range map[error][]error{
		frames.ErrLength:       {ws.ErrHeaderLengthMSB},
		frames.ErrOpcode:       {ws.ErrProtocolOpCodeReserved},
		frames.ErrControl:      {ws.ErrProtocolControlNotFinal, ws.ErrProtocolControlPayloadOverflow},
		frames.ErrReserved:     {ws.ErrProtocolNonZeroRsv},
		frames.ErrMask:         {ws.ErrProtocolMaskRequired},
		frames.ErrContinuation: {ws.ErrProtocolContinuationExpected, ws.ErrProtocolContinuationUnexpected},
	} {
		for _, e := range all {
			if errors.Is(err, e) {
				s.Violation = want
			}
		}
	}
}

func readFrame(h ws.Header, payload []byte) frame {
	found := frame{Header: frames.Header{
		Fin: h.Fin, RSV: h.Rsv, Opcode: frames.Opcode(h.OpCode), Masked: h.Masked, Mask: h.Mask, Length: h.Length,
	}, Message: -1}
	if !h.OpCode.IsControl() {
		return found
	}
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	if h.Length <= ws.MaxControlFramePayloadSize {
		sum := fnv.New64a()
		_, _ = sum.Write(payload)
		found.Sum = sum.Sum64()
	}
	if h.OpCode == ws.OpClose {
		found.Code, found.Invalid = closeCode(payload)
	}
	return found
}

func closeCode(payload []byte) (code int, invalid bool) {
	if len(payload) == 0 {
		return 1005, false
	}
	if len(payload) == 1 || len(payload) > ws.MaxControlFramePayloadSize || !utf8.Valid(payload[2:]) {
		return 0, true
	}
	code = int(binary.BigEndian.Uint16(payload))
	known := code >= 1012 && code <= 1014 || // registered after RFC 6455, and package ws does not know them
		code < 5000 && ws.CheckCloseFrameData(ws.StatusCode(code), "") == nil
	if !known {
		return 0, true
	}
	return code, false
}

// everything is a stream in which there is something of everything.
func everything(t testing.TB) []byte {
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
		ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "näh, €, 𝄞")),
		ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "\xc3")),
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

// FuzzFollower follows a stream in pieces and compares what is found with what package ws finds in the whole.
func FuzzFollower(f *testing.F) {
	all := everything(f)
	f.Add(all, []byte{1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233})
	f.Add(all[:100], bytes.Repeat([]byte{1}, 100))
	f.Add([]byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5}, []byte{3, 0, 9})
	f.Add([]byte{0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x81, 0}, []byte{})
	f.Add([]byte{0x88, 0x7E, 0, 126}, []byte{})
	f.Add([]byte{0x82, 2, 0, 0, 0x80, 1, 0, 0x80, 1, 0}, []byte{})
	f.Add([]byte{0x80, 0, 0x01, 0, 0x82, 0, 0x83, 0, 0x8B, 0, 0xF1, 0}, []byte{})
	f.Add([]byte{0x88, 0x85, 0, 0, 0, 0, 3, 0xE8, 0xE2, 0x82, 0x41}, []byte{7, 2})
	f.Add([]byte{0x88, 0x82, 0, 0, 0, 0, 0x27, 0x10}, []byte{})
	f.Add([]byte{0x38, 0x82, 0, 0, 0, 0, 0, 0}, []byte{})
	f.Add([]byte{0x82, 0x83, 1, 2, 3, 4, 5, 6, 7, 0x82, 0xFE, 0, 0, 1, 2, 3, 4, 0x81, 0xFE, 0, 1, 1, 2, 3, 4, 5}, []byte{2, 4, 2, 1, 2, 2, 4, 2, 6})
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		if diff := cmp.Diff(read(p), follow(t, p, cuts), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("-ws +follower:\n%s", diff)
		}
	})
}

// TestFollower has the stream cut at every place.
func TestFollower(t *testing.T) {
	all := everything(t)
	want := read(all)
	if len(want.Frames) != 13 || want.Violation != nil || !want.Aligned {
		t.Fatalf("ws finds %+v", want)
	}
	for cut := range len(all) {
		if diff := cmp.Diff(want, follow(t, all, []byte{byte(cut / 2), byte(cut - cut/2)})); diff != "" {
			t.Fatalf("cut at %d, -ws +follower:\n%s", cut, diff)
		}
	}
}

// TestFollowerLength follows the longest frame there can be.
func TestFollowerLength(t *testing.T) {
	f := frames.New(frames.Config{})
	head := binary.BigEndian.AppendUint64([]byte{0x82, 127}, math.MaxInt64)
	if _, whole := f.Next(append(head, 0)); whole || f.Aligned() || f.Header().Length != math.MaxInt64 || f.Violation() != nil {
		t.Errorf("whole %v, aligned %v, %+v, %v", whole, f.Aligned(), f.Header(), f.Violation())
	}
}

// TestForgive forgives a ping with a reserved bit once all of it has come.
func TestForgive(t *testing.T) {
	ping := []byte{0xC9, 1, 'x'}
	for name, tt := range map[string]struct {
		stream []byte
		want   bool
	}{
		"within the header":            {ping[:1], true}, // there is nothing to forgive
		"within the frame":             {ping[:2], false},
		"behind it":                    {ping, true},
		"within the next frame":        {append(ping, 0x81, 2, 'y'), true},
		"within one that violates too": {append(ping, ping[:2]...), false},
		"lost":                         {[]byte{0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := frames.New(frames.Config{})
			for p, whole := tt.stream, true; whole; {
				p, whole = f.Next(p)
			}
			if got := f.Forgive(); got != tt.want || got && f.Violation() != nil {
				t.Errorf("Forgive = %v and then %v, want %v", got, f.Violation(), tt.want)
			}
		})
	}
}

// TestFieldCase11Reserved sets reserved bits in every place where an extension may allow them.
func TestFieldCase11Reserved(t *testing.T) {
	const (
		all     = "none, deflate, unknown"
		deflate = "deflate, unknown"
		unknown = "unknown"
	)
	for name, test := range map[string]struct {
		stream  []byte
		allowed string
	}{
		"none":                        {[]byte{0x81, 0}, all},
		"RSV1 on a message":           {[]byte{0xC1, 0}, deflate},
		"RSV1 on a first frame":       {[]byte{0x41, 0, 0x80, 0}, deflate},
		"RSV1 on a continuation":      {[]byte{0x41, 0, 0xC0, 0}, unknown},
		"RSV1 on a ping":              {[]byte{0xC9, 0}, unknown},
		"RSV1 on a close frame":       {[]byte{0xC8, 0}, unknown},
		"RSV2 on a message":           {[]byte{0xA1, 0}, unknown},
		"RSV1 and RSV3 on a message":  {[]byte{0xD1, 0}, unknown},
		"RSV3 on a pong in a message": {[]byte{0x01, 0, 0x9A, 0}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			var allowed []string
			for extensions, header := range map[string][]string{
				"none":    nil,
				"deflate": {"permessage-deflate; client_no_context_takeover"},
				"unknown": {"permessage-deflate, x-webkit-deflate-frame"},
			} {
				f := frames.New(frames.Config{Extensions: frames.ParseExtensions(header)})
				for p, whole := test.stream, true; whole; {
					p, whole = f.Next(p)
				}
				switch err := f.Violation(); {
				case err == nil:
					allowed = append(allowed, extensions)
				case !errors.Is(err, frames.ErrReserved):
					t.Errorf("with %s: %v", extensions, err)
				}
			}
			want := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(split(test.allowed), allowed, want); diff != "" {
				t.Errorf("allowed with, -want +got:\n%s", diff)
			}
		})
	}
}

func split(list string) []string {
	var parts []string
	for part := range bytes.SplitSeq([]byte(list), []byte(", ")) {
		parts = append(parts, string(part))
	}
	return parts
}

// TestParseExtensions reads the answers of servers.
func TestParseExtensions(t *testing.T) {
	for want, headers := range map[frames.Extensions][][]string{
		frames.NoExtensions:      {nil, {""}, {" , "}},
		frames.Deflate:           {{"permessage-deflate"}, {" Permessage-Deflate ;server_max_window_bits=10"}},
		frames.UnknownExtensions: {{"a"}, {"permessage-deflate, a"}, {"a", "permessage-deflate"}},
	} {
		for _, h := range headers {
			if got := frames.ParseExtensions(h); got != want {
				t.Errorf("%q: %v, want %v", h, got, want)
			}
		}
	}
}

// TestFollowerAllocates follows a message and a control frame in pieces.
func TestFollowerAllocates(t *testing.T) {
	p := everything(t)
	got := testing.AllocsPerRun(100, func() {
		f := frames.New(frames.Config{Client: true})
		for whole, rest := true, p; whole; {
			rest, whole = f.Next(rest)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// BenchmarkFollower follows one message of 128 bytes.
func BenchmarkFollower(b *testing.B) {
	p := append([]byte{0x82, 0xFE, 0, 128, 1, 2, 3, 4}, make([]byte, 128)...)
	f := frames.New(frames.Config{Client: true})
	b.ReportAllocs()
	for b.Loop() {
		if f.MayControl(p) {
			b.Fatal("a message is taken for a control frame")
		}
		if _, whole := f.Next(p); !whole {
			b.Fatal("the message has not ended")
		}
	}
}
