package frames

import "encoding/binary"

// An Opcode says what a frame holds.
type Opcode uint8

// The opcodes that RFC 6455 defines. Its section 5.2 reserves all others.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// control says whether the frame is a control frame, also one that is reserved.
func (o Opcode) control() bool { return o&0x8 != 0 }

func (o Opcode) reserved() bool { return o > Binary && o < Close || o > Pong }

// A Header begins a frame.
type Header struct {
	Fin    bool
	RSV    uint8 // 4 is RSV1, 2 is RSV2, 1 is RSV3
	Opcode Opcode
	Masked bool
	Mask   [4]byte
	Length int64 // of the payload in bytes
}

const (
	rsv1 = 4

	minHeader = 2
	maxHeader = 14
	// maxControl is the longest payload of a control frame.
	maxControl = 125
)

// headerSize returns the size of a header by its second byte.
func headerSize(b byte) int {
	size := minHeader
	switch b & 0x7F {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b&0x80 != 0 {
		size += 4
	}
	return size
}

// parse parses a whole header, and returns false for a length that no frame can have. It writes each field where it
// stays: a Header that is returned and copied costs several times as much.
func (h *Header) parse(head []byte) bool {
	h.Fin = head[0]&0x80 != 0
	h.RSV = head[0] >> 4 & 7
	h.Opcode = Opcode(head[0] & 0x0F)
	if h.Masked = head[1]&0x80 != 0; h.Masked {
		h.Mask = [4]byte(head[len(head)-len(h.Mask):])
	} else {
		h.Mask = [4]byte{}
	}
	h.Length = payloadLength(head)
	return h.Length >= 0
}

// payloadLength returns the length that a whole header says, negative for one that no frame can have.
func payloadLength(head []byte) int64 {
	switch n := head[1] & 0x7F; n {
	case 126:
		return int64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		return int64(binary.BigEndian.Uint64(head[2:])) //nolint:gosec // the sign is looked at
	default:
		return int64(n)
	}
}
