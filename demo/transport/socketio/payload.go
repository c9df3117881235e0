package socketio

import (
	"bytes"
	"encoding/base64"
	"errors"
)

const (
	separator    = 0x1e // between the packets of a payload
	base64Prefix = 'b'  // of a binary packet in a payload
)

// unit is one packet of Engine.IO: a text that begins with what it is, or binary.
type unit struct {
	binary bool
	data   []byte
}

// parsePayload reads what a client posts.
func parsePayload(body []byte) ([]unit, error) {
	var units []unit
	for part := range bytes.SplitSeq(body, []byte{separator}) {
		switch {
		case len(part) == 0:
			return nil, errors.New("socketio: an empty packet in a payload")
		case part[0] == base64Prefix:
			data, err := base64.StdEncoding.DecodeString(string(part[1:]))
			if err != nil {
				return nil, errors.New("socketio: a binary packet in a payload is not base64")
			}
			units = append(units, unit{binary: true, data: data})
		default:
			units = append(units, unit{data: part})
		}
	}
	return units, nil
}

// appendPayload writes packets as the answer to a poll.
func appendPayload(to []byte, units []unit) []byte {
	for i, u := range units {
		if i > 0 {
			to = append(to, separator)
		}
		if u.binary {
			to = base64.StdEncoding.AppendEncode(append(to, base64Prefix), u.data)
			continue
		}
		to = append(to, u.data...)
	}
	return to
}
