package gobwas

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// A follower finds the frames in a stream of bytes, in whatever pieces they come. Of payloads it keeps nothing but what
// tells control frames apart.
type follower struct {
	state  ws.State               // of the receiver, which headers are checked against
	head   [ws.MaxHeaderSize]byte // of the frame that begins
	seen   int                    // bytes of head
	header ws.Header              // of the frame that the stream is within or has just left
	within bool
	left   int64 // bytes of the frame's payload to come

	control control   // payload of the control frame
	op      ws.OpCode // of the message
	size    int64     // payload of the message so far

	violation error // the first
	lost      bool  // where frames begin can't be told any more
}

// control is what is known of a control frame's payload.
type control struct {
	seen  int
	start [2]byte
	sum   uint64 // FNV-1a
}

// next follows p up to the end of the frame and returns what lies behind it, or false if p ends first.
func (f *follower) next(p []byte) (rest []byte, whole bool) {
	if !f.within {
		if p = f.begin(p); !f.within {
			return nil, false
		}
	}
	n := int(min(f.left, int64(len(p))))
	// A control frame that is longer than allowed is nothing but a violation.
	if f.header.OpCode.IsControl() && f.header.Length <= ws.MaxControlFramePayloadSize {
		f.control.add(p[:n], &f.header)
	}
	if f.left -= int64(n); f.left > 0 {
		return nil, false
	}
	f.within = false
	if f.header.OpCode.IsData() {
		f.size += f.header.Length
	}
	return p[n:], true
}

// begin follows p to the end of a header and returns what lies behind it.
func (f *follower) begin(p []byte) []byte {
	if f.lost || len(p) == 0 {
		return nil
	}
	if p = f.fill(p, ws.MinHeaderSize); f.seen < ws.MinHeaderSize {
		return nil
	}
	size := headerSize(f.head[1])
	if p = f.fill(p, size); f.seen < size {
		return nil
	}
	f.seen = 0
	f.parse(f.head[:size])
	return p
}

func (f *follower) fill(p []byte, size int) []byte {
	if f.seen >= size {
		return p
	}
	n := copy(f.head[f.seen:size], p)
	f.seen += n
	return p[n:]
}

// headerSize returns the size of a header by its second byte.
func headerSize(b byte) int {
	size := ws.MinHeaderSize
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

func (f *follower) parse(head []byte) {
	h := ws.Header{
		Fin:    head[0]&0x80 != 0,
		Rsv:    head[0] >> 4 & 7,
		OpCode: ws.OpCode(head[0] & 0x0F),
		Masked: head[1]&0x80 != 0,
		Length: int64(head[1] & 0x7F),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		length := binary.BigEndian.Uint64(head[2:])
		if length>>63 != 0 {
			f.lost = true
			f.violate(ws.ErrHeaderLengthMSB)
			return
		}
		h.Length = int64(length)
	}
	if h.Masked {
		copy(h.Mask[:], head[len(head)-4:])
	}
	if err := ws.CheckHeader(h, f.state); err != nil {
		f.violate(err)
	}
	f.header, f.left, f.within = h, h.Length, true
	if h.OpCode.IsControl() {
		f.control = control{sum: 14695981039346656037}
		return
	}
	if h.OpCode != ws.OpContinuation || !f.state.Fragmented() {
		f.op, f.size = h.OpCode, 0
	}
	if h.Fin {
		f.state = f.state.Clear(ws.StateFragmented)
	} else {
		f.state = f.state.Set(ws.StateFragmented)
	}
}

func (f *follower) violate(err error) {
	if f.violation == nil {
		f.violation = err
	}
}

// message says whether the frame that the stream has just left was the last of a message.
func (f *follower) message() bool {
	return f.header.Fin && f.header.OpCode.IsData() && !f.header.OpCode.IsReserved()
}

// aligned says whether a frame can begin here.
func (f *follower) aligned() bool { return !f.within && f.seen == 0 && !f.lost }

func (c *control) add(p []byte, h *ws.Header) {
	for _, b := range p {
		if h.Masked {
			b ^= h.Mask[c.seen%len(h.Mask)]
		}
		if c.seen < len(c.start) {
			c.start[c.seen] = b
		}
		c.sum = (c.sum ^ uint64(b)) * 1099511628211
		c.seen++
	}
}

// closeCode returns the code of the close frame that the stream has just left, and false if it is none that may be sent.
func (f *follower) closeCode() (ws.StatusCode, bool) {
	if f.header.Length == 0 {
		return ws.StatusNoStatusRcvd, true
	}
	if f.control.seen < len(f.control.start) {
		return 0, false
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(f.control.start[:]))
	switch code {
	case 1012, 1013, 1014: // registered after RFC 6455, and ws does not know them
		return code, true
	}
	return code, ws.CheckCloseFrameData(code, "") == nil
}
