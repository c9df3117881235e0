package frames

import (
	"encoding/binary"
	"errors"
)

// The ways in which a peer can violate the protocol, see Follower.Violation and Follower.CloseCode.
var (
	ErrOpcode       = errors.New("reserved opcode")
	ErrControl      = errors.New("control frame is fragmented or longer than 125 bytes")
	ErrReserved     = errors.New("reserved bit is set, and no extension gives it a meaning")
	ErrMask         = errors.New("frame of a client is not masked, or frame of a server is")
	ErrContinuation = errors.New("continuation frame continues no message, or a message begins within another")
	ErrLength       = errors.New("payload length has its most significant bit set")
	ErrClose        = errors.New("close frame has a payload of one byte, a code that must not be sent, or a reason that is not UTF-8")
)

// Config describes a stream of frames before it begins. The zero Config is for frames of a server without extensions.
type Config struct {
	// Client says that a client sends the frames, which must be masked.
	Client bool
	// Extensions are those that were negotiated.
	Extensions Extensions
}

// A Follower finds the frames in a stream of bytes, in whatever pieces they come. A copy follows the stream
// independently. It is not safe for concurrent use. New makes one.
type Follower struct {
	config     Config
	within     bool // the frame of header
	fragmented bool // the message has begun and not ended
	lost       bool // it is unknown where frames begin
	message    Opcode
	seen       int   // bytes of head
	left       int64 // bytes of the frame's payload to come
	size       int64 // payload of the message so far

	header    Header
	head      [maxHeader]byte // of the frame that begins, if it comes in pieces
	violates  error           // the frame of header
	violation error           // the first since Forgive
	control   control         // payload of the control frame
}

// New returns a Follower at the beginning of a stream.
func New(c Config) Follower { return Follower{config: c} }

// Next follows p up to the end of the frame and returns the bytes behind it. It returns false if p ends first.
func (f *Follower) Next(p []byte) (rest []byte, whole bool) {
	if !f.within {
		if p = f.begin(p); !f.within {
			return nil, false
		}
	}
	n := int(min(f.left, int64(len(p))))
	// A control frame that is longer than allowed is nothing but a violation.
	if f.header.Opcode.control() && f.header.Length <= maxControl {
		f.control.add(p[:n], &f.header)
	}
	if f.left -= int64(n); f.left > 0 {
		return nil, false
	}
	f.within = false
	if !f.header.Opcode.control() {
		f.size += f.header.Length
	}
	return p[n:], true
}

// Whole checks whether p, which comes next, is exactly one message in one frame, like most pieces. If so, it returns
// the message's opcode and payload size, and has followed p. It costs much less than Next. It returns false if a quick
// check is not enough.
func (f *Follower) Whole(p []byte) (op Opcode, size int, ok bool) {
	if f.within || f.fragmented || f.lost || f.seen != 0 || len(p) < minHeader {
		return 0, 0, false
	}
	head := minHeader
	switch size = int(p[1] & 0x7F); {
	case size == 127, size == 126 && len(p) < minHeader+2:
		return 0, 0, false
	case size == 126:
		size, head = int(binary.BigEndian.Uint16(p[minHeader:])), minHeader+2
	}
	if f.config.Client {
		head += len(f.header.Mask)
	}
	const fin, masked = 0x80, 0x80
	op = Opcode(p[0] &^ fin)
	ok = p[0]&fin != 0 && (op == Text || op == Binary) && (p[1]&masked != 0) == f.config.Client && len(p) == head+size
	return op, size, ok
}

// Piece follows p, which comes next, if it is the header of a message in one frame, or part of that header or of its
// payload. Libraries without a buffer read and write such pieces. Piece reports whether it has followed p, and whether
// the message has ended with it, and then returns the message's opcode and payload size. It costs less than Next, and
// follows nothing where it cannot tell at a glance.
func (f *Follower) Piece(p []byte) (op Opcode, size int, ended, followed bool) {
	if !f.within {
		return 0, 0, false, f.beginPiece(p)
	}
	h := &f.header
	if !h.Fin || h.Opcode != Text && h.Opcode != Binary || int64(len(p)) > f.left {
		return 0, 0, false, false
	}
	if f.left -= int64(len(p)); f.left > 0 {
		return 0, 0, false, true
	}
	f.within, f.size = false, h.Length
	return f.message, int(h.Length), true, true
}

func (f *Follower) beginPiece(p []byte) bool {
	const fin, masked = 0x80, 0x80
	seen := f.seen
	if seen == 0 {
		if len(p) < minHeader || f.fragmented || f.lost {
			return false
		}
		f.head[0], f.head[1] = p[0], p[1]
	}
	op, length, size := Opcode(f.head[0]&^fin), int64(f.head[1]&^masked), headerSize(f.head[1])
	switch {
	case seen == 1, f.head[0]&fin == 0, op != Text && op != Binary, (f.head[1]&masked != 0) != f.config.Client, length == 127, seen+len(p) > size:
		return false
	}
	copy(f.head[seen:], p)
	if seen+len(p) < size {
		f.seen = seen + len(p)
		return true
	}
	if length == 126 {
		length = int64(binary.BigEndian.Uint16(f.head[minHeader:]))
	}
	if length == 0 { // the message ends here
		return false
	}
	h := &f.header
	h.Fin, h.RSV, h.Opcode, h.Masked, h.Mask, h.Length = true, 0, op, f.config.Client, [4]byte{}, length
	if h.Masked {
		h.Mask = [4]byte(f.head[size-len(h.Mask):])
	}
	f.seen, f.within, f.left, f.message, f.size, f.violates = 0, true, length, op, 0, nil
	return true
}

// begin follows p to the end of a header and returns the bytes behind it.
func (f *Follower) begin(p []byte) []byte {
	if f.lost || len(p) == 0 {
		return nil
	}
	if f.seen == 0 && len(p) >= minHeader {
		if size := headerSize(p[1]); len(p) >= size {
			f.enter(p[:size])
			return p[size:]
		}
	}
	return f.collect(p)
}

// collect is begin for a header that comes in pieces.
func (f *Follower) collect(p []byte) []byte {
	for i, b := range p {
		f.head[f.seen] = b
		f.seen++
		if f.seen >= minHeader && f.seen == headerSize(f.head[1]) {
			head := f.head[:f.seen]
			f.seen = 0
			f.enter(head)
			return p[i+1:]
		}
	}
	return nil
}

// enter enters the frame that begins with a header.
func (f *Follower) enter(head []byte) {
	h := &f.header
	if !h.parse(head) {
		f.lost = true
		f.violate(ErrLength)
		return
	}
	if f.violates = f.check(h); f.violates != nil {
		f.violate(f.violates)
	}
	f.left, f.within = h.Length, true
	if h.Opcode.control() {
		f.control = newControl()
		return
	}
	if h.Opcode != Continuation || !f.fragmented {
		f.message, f.size = h.Opcode, 0
	}
	f.fragmented = !h.Fin
}

func (f *Follower) check(h *Header) error {
	switch {
	case (h.Opcode == Text || h.Opcode == Binary) && h.RSV == 0 && h.Masked == f.config.Client && !f.fragmented:
		return nil // which most frames are
	case h.Opcode.reserved():
		return ErrOpcode
	case h.Opcode.control() && (!h.Fin || h.Length > maxControl):
		return ErrControl
	case h.RSV != 0 && !f.config.Extensions.allow(h):
		return ErrReserved
	case h.Masked != f.config.Client:
		return ErrMask
	case !h.Opcode.control() && f.fragmented != (h.Opcode == Continuation):
		return ErrContinuation
	}
	return nil
}

func (f *Follower) violate(err error) {
	if f.violation == nil {
		f.violation = err
	}
}

// Header returns the header of the frame that the stream is within or has just left.
func (f *Follower) Header() Header { return f.header }

// Opcode returns the opcode of the frame that the stream is within or has just left.
func (f *Follower) Opcode() Opcode { return f.header.Opcode }

// Closing says whether the stream is within a close frame.
func (f *Follower) Closing() bool { return f.within && f.header.Opcode == Close }

// Message returns the opcode and the payload size on the wire of the message that has ended with the frame that the
// stream has just left, and false if none has.
func (f *Follower) Message() (op Opcode, size int64, ok bool) {
	if !f.header.Fin || f.header.Opcode.control() || f.header.Opcode.reserved() {
		return 0, 0, false
	}
	return f.message, f.size, true
}

// Sum identifies the payload of the control frame that the stream has just left: a pong has that of its ping.
func (f *Follower) Sum() uint64 { return f.control.sum }

// CloseCode returns the code of the close frame that the stream has just left, 1005 if there is none in it. It returns
// a violation if the frame must not have been sent.
func (f *Follower) CloseCode() (int, error) {
	switch code := f.control.code(); {
	case f.violates != nil:
		return 0, f.violates
	case f.header.Length == 0:
		return NoStatus, nil
	case f.header.Length == 1, f.header.Length > maxControl, !sendable(code), !f.control.text():
		return 0, ErrClose
	default:
		return code, nil
	}
}

// Aligned says whether a frame can begin here.
func (f *Follower) Aligned() bool { return !f.within && f.seen == 0 && !f.lost }

// Lost reports whether it is unknown where a frame begins.
func (f *Follower) Lost() bool { return f.lost }

// MayControl reports whether the bytes p, which come next, may hold a control frame or a part of one. It costs less
// than following them. It returns true if a quick check is not enough.
func (f *Follower) MayControl(p []byte) bool {
	if f.within {
		return f.header.Opcode.control() || int64(len(p)) > f.left
	}
	if f.seen != 0 || len(p) < minHeader || Opcode(p[0]&0x0F).control() {
		return true
	}
	size, length := headerSize(p[1]), int(p[1]&0x7F)
	switch {
	case len(p) < size, length == 127:
		return true
	case length == 126:
		length = int(binary.BigEndian.Uint16(p[minHeader:]))
	}
	return len(p) > size+length
}

// Begins reports whether the bytes p, which come next, are the beginning of a frame other than a control frame, but not
// the whole frame.
func (f *Follower) Begins(p []byte) bool {
	if f.within || f.seen != 0 || len(p) < minHeader || Opcode(p[0]&0x0F).control() {
		return false
	}
	size := headerSize(p[1])
	return len(p) >= size && int64(len(p)-size) < payloadLength(p[:size])
}

// Violation returns the first violation of the protocol since Forgive, nil if there is none. The code and reason of
// close frames are left to CloseCode.
func (f *Follower) Violation() error { return f.violation }

// Forgive forgets the violations if the stream has left their frames, and says whether it has.
func (f *Follower) Forgive() bool {
	if f.lost || f.within && f.violates != nil {
		return false
	}
	f.violation = nil
	return true
}
