package answer

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxHead is the number of bytes of an answer that are kept to find its status and header.
const maxHead = 16 << 10

// A Head reads the status line and the header of an answer from the bytes that are written on a connection, in whatever
// pieces they come. The zero Head has read nothing.
type Head struct {
	buf []byte
	// Status is the status of the answer. It is 0 if the bytes are not an answer, or the head is longer than maxHead.
	Status int
	// Header is the header of the answer.
	Header http.Header
}

// Read reads p and returns the bytes behind the head. It returns false as long as the head has not come to its end.
func (h *Head) Read(p []byte) (rest []byte, whole bool) {
	before := len(h.buf)
	h.buf = append(h.buf, p[:min(len(p), maxHead-before)]...)
	end := headEnd(h.buf)
	if end < 0 {
		if len(h.buf) < maxHead {
			return nil, false
		}
		h.buf = nil
		return nil, true
	}
	h.parse(h.buf[:end])
	h.buf = nil
	if h.Status >= http.StatusContinue && h.Status < http.StatusOK && h.Status != http.StatusSwitchingProtocols {
		*h = Head{}
		return h.Read(p[end-before:]) // behind an informational answer
	}
	return p[end-before:], true
}

// headEnd returns where the empty line of a head ends, -1 if there is none.
func headEnd(p []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(p[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		switch line := p[from:]; {
		case bytes.HasPrefix(line, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(line, []byte("\r\n")):
			return from + 2
		}
	}
}

func (h *Head) parse(head []byte) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	line, err := r.ReadLine()
	if err != nil || !strings.HasPrefix(line, "HTTP/") {
		return
	}
	_, status, _ := strings.Cut(line, " ")
	status, _, _ = strings.Cut(status, " ")
	n, err := strconv.Atoi(status)
	if err != nil || n < 100 || n > 999 {
		return
	}
	header, _ := r.ReadMIMEHeader() // as far as it can be read
	h.Status, h.Header = n, http.Header(header)
}
