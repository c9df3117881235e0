package carrier

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

const (
	// family is the prefix of envelopes of all versions.
	family = "sockscope/"
	// magic is the prefix of every envelope and names the version of its format.
	magic = family + "1 "
	// maxDigits keeps the time of publishing from overflowing. It is enough until the year 33658.
	maxDigits      = 18
	maxPublished   = 1e18 - 1
	maxHeaderBytes = len(magic) + maxDigits + 2*(len(" ")+maxValueBytes) + len("\n")
)

// ErrEnvelope is the error of Envelope.Parse for data that begins like an envelope but is not one.
var ErrEnvelope = errors.New("the envelope is malformed, or of a version that is not known here")

// An Envelope carries a payload and its trace context over a transport without headers, such as Redis Pub/Sub. It is a
// line of text with the time of publishing in microseconds since 1970 and the trace context, if there is one. The
// unchanged payload follows the line:
//
//	sockscope/1 1767366245123456 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=value
//	{"type": "message", …}
//
// Data that does not begin with sockscope/ is a payload without an envelope, so publishers without envelopes are
// understood. Subscribers that know no envelopes see the line.
//
// The zero Envelope has no time and no trace context. An Envelope is not safe for concurrent use.
type Envelope struct {
	// Published is when the payload was published, to the microsecond, by the publisher's clock. A backplane's lag is
	// measured from it. The zero time, like any before 1970, means unknown.
	Published time.Time

	fields
	unread [2][]byte // the fields' values in what was parsed
}

// Append appends the envelope and the payload to dst and returns the result. If dst is nil, Append allocates only the
// result. Reuse dst for the next message to save that allocation.
func (e *Envelope) Append(dst, payload []byte) []byte {
	e.load()
	published := e.Published.UnixMicro()
	if published < 0 || published > maxPublished {
		published = 0
	}
	if dst == nil {
		context := len(" ") + len(e.values[traceparent]) + len(" ") + len(e.values[tracestate])
		dst = make([]byte, 0, len(magic)+maxDigits+context+len("\n")+len(payload))
	}
	dst = append(dst, magic...)
	dst = strconv.AppendInt(dst, published, 10)
	for _, value := range e.values {
		if value == "" || e.values[traceparent] == "" {
			continue
		}
		dst = append(dst, ' ')
		dst = append(dst, value...)
	}
	dst = append(dst, '\n')
	return append(dst, payload...)
}

// Parse replaces the content of the Envelope and returns the payload, which is a part of data. If data has no envelope,
// all of it is the payload and the Envelope is zero. The same holds if data begins like an envelope but is malformed or
// of another version, but then the error is ErrEnvelope. Callers who handle that payload anyway treat the line as a
// part of it. Parse does not allocate.
func (e *Envelope) Parse(data []byte) (payload []byte, err error) {
	*e = Envelope{}
	if !bytes.HasPrefix(data, []byte(family)) {
		return data, nil
	}
	header, ok := bytes.CutPrefix(data[:min(len(data), maxHeaderBytes)], []byte(magic))
	end := bytes.IndexByte(header, '\n')
	if !ok || end < 0 || !e.parseHeader(header[:end]) {
		return data, ErrEnvelope
	}
	return data[len(magic)+end+len("\n"):], nil
}

// parseHeader parses the line without the magic. It is strict: a payload that only resembles an envelope is not one.
func (e *Envelope) parseHeader(header []byte) bool {
	digits, context, hasParent := bytes.Cut(header, []byte(" "))
	parent, state, hasState := bytes.Cut(context, []byte(" "))
	if hasParent && !printable(traceparent, parent) || hasState && !printable(tracestate, state) ||
		!e.parsePublished(digits) {
		return false
	}
	e.unread = [...][]byte{parent, state}
	return true
}

func (e *Envelope) parsePublished(digits []byte) bool {
	if len(digits) == 0 || len(digits) > maxDigits {
		return false
	}
	var published int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
		published = published*10 + int64(c-'0')
	}
	if published > 0 {
		e.Published = time.UnixMicro(published)
	}
	return true
}

// Get returns traceparent or tracestate, or "" if the envelope doesn't have it. The first Get after Parse allocates
// once for each of the two that the envelope has.
func (e *Envelope) Get(key string) string {
	e.load()
	return e.get(key)
}

// Keys returns the ones of traceparent and tracestate that the envelope has.
func (e *Envelope) Keys() []string { return keys(e) }

func (e *Envelope) load() {
	if !e.read {
		e.read = true
		for field, value := range e.unread {
			e.values[field] = string(value)
		}
	}
}
