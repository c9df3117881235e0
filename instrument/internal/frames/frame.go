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

// parseHeader parses a whole header, and returns false for a length that no frame can have.
func parseHeader(head []byte) (Header, bool) {
	h := Header{
		Fin:    head[0]&0x80 != 0,
		RSV:    head[0] >> 4 & 7,
		Opcode: Opcode(head[0] & 0x0F),
		Masked: head[1]&0x80 != 0,
		Length: int64(head[1] & 0x7F),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(head[2:])) //nolint:gosec // the sign is looked at
		if h.Length < 0 {
			return h, false
		}
	}
	if h.Masked {
		copy(h.Mask[:], head[len(head)-len(h.Mask):])
	}
	return h, true
}
