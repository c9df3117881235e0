package frames

import (
	"encoding/binary"
	"unicode/utf8"
)

// NoStatus is the code of a close frame without one.
const NoStatus = 1005

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// control follows a control frame's payload.
type control struct {
	seen    int
	start   [2]byte
	sum     uint64            // FNV-1a
	partial [utf8.UTFMax]byte // of the character that has begun behind start
	pending int               // bytes of partial
	invalid bool              // what lies behind start is not UTF-8
}

func newControl() control { return control{sum: fnvOffset} }

func (c *control) add(p []byte, h *Header) {
	for _, b := range p {
		if h.Masked {
			b ^= h.Mask[c.seen%len(h.Mask)]
		}
		c.sum = (c.sum ^ uint64(b)) * fnvPrime
		if c.seen < len(c.start) {
			c.start[c.seen] = b
		} else if h.Opcode == Close {
			c.read(b)
		}
		c.seen++
	}
}

// read reads one more byte of a close frame's reason.
func (c *control) read(b byte) {
	c.partial[c.pending] = b
	c.pending++
	char := c.partial[:c.pending]
	if !utf8.FullRune(char) {
		return
	}
	if r, size := utf8.DecodeRune(char); r == utf8.RuneError && size == 1 {
		c.invalid = true
	}
	c.pending = 0
}

// text says whether the reason of a close frame is UTF-8.
func (c *control) text() bool { return !c.invalid && c.pending == 0 }

func (c *control) code() int { return int(binary.BigEndian.Uint16(c.start[:])) }

// sendable says whether a close frame may have the code: one that is registered or left to applications.
func sendable(code int) bool {
	switch code {
	case 1004, NoStatus, 1006:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// SendableCode returns the code if a close frame may have it, and NoStatus otherwise.
func SendableCode(code int) int {
	if sendable(code) {
		return code
	}
	return NoStatus
}
