package frames

import "strings"

// Extensions say which reserved bits a header may have.
type Extensions uint8

const (
	// NoExtensions reserves all bits.
	NoExtensions Extensions = iota
	// Deflate is permessage-deflate, which sets RSV1 in the first frame of a message; see RFC 7692.
	Deflate
	// UnknownExtensions may give a meaning to any bit of any frame.
	UnknownExtensions
)

// ParseExtensions returns the extensions that an answer's Sec-WebSocket-Extensions headers accept.
func ParseExtensions(headers []string) Extensions {
	found := NoExtensions
	for _, header := range headers {
		for extension := range strings.SplitSeq(header, ",") {
			name, _, _ := strings.Cut(extension, ";")
			switch name = strings.TrimSpace(name); {
			case name == "":
			case strings.EqualFold(name, "permessage-deflate"):
				found = max(found, Deflate)
			default:
				found = UnknownExtensions
			}
		}
	}
	return found
}

// allow says whether a header may have the reserved bits that it has.
func (e Extensions) allow(h *Header) bool {
	switch e {
	case NoExtensions:
		return h.RSV == 0
	case Deflate:
		return h.RSV&^rsv1 == 0 && !h.Opcode.control() && h.Opcode != Continuation
	default:
		return true
	}
}
