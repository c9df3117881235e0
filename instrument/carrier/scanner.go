package carrier

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// A scanner walks over the members of a JSON object and finds where they begin and end. It builds nothing and checks
// only the grammar that it needs for that. It counts nesting and does not follow it, so depth costs neither stack nor
// memory. It looks at no byte more than a few times.
type scanner struct {
	data []byte
	pos  int
	from int    // where the current member begins, right after what separates it from the one before
	name []byte // of the current member, as it is written

	needComma bool // after a member: the next one begins with a comma
	closed    bool // after the end of the object
}

// find moves to the value of the first member that has this name, in the object that begins here.
func (s *scanner) find(name string) bool {
	for more := s.enter() && s.next(); more; more = s.skip() && s.next() {
		if s.named(name) {
			return true
		}
	}
	return false
}

// enter moves into the object that begins here.
func (s *scanner) enter() bool {
	s.space()
	s.needComma, s.closed = false, false
	return s.take('{')
}

// next moves to the value of the next member. After the last one it returns false and closed is set. If it returns
// false and closed is not set, the object is malformed.
func (s *scanner) next() bool {
	s.from = s.pos
	s.space()
	if s.take('}') {
		s.closed = true
		return false
	}
	if s.needComma {
		if !s.take(',') {
			return false
		}
		s.from = s.pos
		s.space()
	}
	s.needComma = true
	start := s.pos
	if !s.skipString() {
		return false
	}
	s.name = s.data[start:s.pos]
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	return true
}

// skip moves past the value that begins here and the space after it.
func (s *scanner) skip() bool {
	start, depth := s.pos, 0
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			if !s.skipString() {
				return false
			}
		case c == '{' || c == '[':
			s.pos++
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			s.pos++
			depth--
		case depth > 0:
			s.pos++
		default:
			s.skipScalar()
		}
		if depth == 0 {
			break
		}
	}
	found := depth == 0 && s.pos > start
	s.space()
	return found
}

// skipScalar moves past a number or literal, to where the next token begins.
func (s *scanner) skipScalar() {
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n,:\"{}[]", s.data[s.pos]) < 0 {
		s.pos++
	}
}

// skipString moves past the string that begins here: past the first quote that no backslash escapes.
func (s *scanner) skipString() bool {
	if !s.take('"') {
		return false
	}
	for start := s.pos; ; {
		n := bytes.IndexByte(s.data[s.pos:], '"')
		if n < 0 {
			return false
		}
		s.pos += n + 1
		backslashes := 0
		for i := s.pos - 2; i >= start && s.data[i] == '\\'; i-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return true
		}
	}
}

// space moves past white space.
func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// take moves past c if c comes next.
func (s *scanner) take(c byte) bool {
	if s.pos == len(s.data) || s.data[s.pos] != c {
		return false
	}
	s.pos++
	return true
}

// ended reports whether only space comes next.
func (s *scanner) ended() bool {
	s.space()
	return s.pos == len(s.data)
}

// named reports whether the current member has that name.
func (s *scanner) named(name string) bool {
	plain := s.name[1 : len(s.name)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return string(plain) == name
	}
	var space [16]byte
	text, ok := unquote(space[:0:len(name)], s.name)
	return ok && string(text) == name
}

// field returns the field that the current member is, or -1.
func (s *scanner) field() int {
	for field, name := range names() {
		if s.named(name) {
			return field
		}
	}
	return -1
}

// value returns the value that begins here if it is valid for the field, and "" otherwise.
func (s *scanner) value(field int) string {
	ahead := *s
	if !ahead.skipString() {
		return ""
	}
	var space [maxValueBytes]byte
	text, ok := unquote(space[:0], s.data[s.pos:ahead.pos])
	if !ok || !printable(field, text) {
		return ""
	}
	return string(text)
}

// unquote appends to dst the value of a JSON string, which is given with its quotes. It fails if the value exceeds
// dst's capacity, or has an escape that no name or value of the fields needs.
func unquote(dst, quoted []byte) ([]byte, bool) {
	for i, end := 1, len(quoted)-1; i < end; i++ {
		c := quoted[i]
		if c == '\\' {
			i++ // there is another byte: otherwise the quote at the end would be escaped
			switch c = quoted[i]; c {
			case '"', '\\', '/':
			case 'u':
				if c = hexadecimal(quoted[i+1 : end]); c == 0 {
					return nil, false
				}
				i += 4
			default: // control characters
				return nil, false
			}
		}
		if len(dst) == cap(dst) {
			return nil, false
		}
		dst = append(dst, c)
	}
	return dst, true
}

// hexadecimal returns the byte that four digits stand for. It returns 0 if they are invalid or exceed a byte.
func hexadecimal(digits []byte) byte {
	var c [1]byte
	if len(digits) < 4 || digits[0] != '0' || digits[1] != '0' {
		return 0
	}
	if _, err := hex.Decode(c[:], digits[2:4]); err != nil {
		return 0
	}
	return c[0]
}
