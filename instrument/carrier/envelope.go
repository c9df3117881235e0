package carrier

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

const (
	// family begins the envelopes of all versions.
	family = "sockscope/"
	// magic begins every envelope and names the version of its form.
	magic = family + "1 "
	// maxDigits keeps the time of publishing from overflowing: it suffices until the year 33658.
	maxDigits      = 18
	maxPublished   = 1e18 - 1
	maxHeaderBytes = len(magic) + maxDigits + 2*(len(" ")+maxValueBytes) + len("\n")
)

// ErrEnvelope is the error of Envelope.Parse for what begins as envelopes do and is none.
var ErrEnvelope = errors.New("the envelope is malformed, or of a version that is not known here")

// An Envelope is put around a payload where the transport has no headers, as in Redis Pub/Sub. It is a line of text,
// with the time of publishing in microseconds since 1970 and, where there is one, the trace context; behind the line
// comes the payload as it is:
//
//	sockscope/1 1767366245123456 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=value
//	{"type": "message", …}
//
// What does not begin with sockscope/ is a payload without an envelope, so that publishers that know of none are
// understood. Subscribers that know of none see the line.
//
// The zero Envelope has no time and no trace context. An Envelope is not safe for concurrent use.
type Envelope struct {
	// Published is when the payload was published, to the microsecond, by the publisher's clock: what a backplane's lag
	// is measured from. The zero time, like any before 1970, stands for unknown.
	Published time.Time

	fields
	unread [2][]byte // the fields' values in what was parsed
}

// Append appends the envelope and the payload to dst and returns the result. If dst is nil, the result is what it
// allocates. A dst that is used again for the next message saves that.
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

// Parse takes the place of what the Envelope held before and returns the payload, which is a part of data. If data has
// no envelope, all of it is the payload and the Envelope is zero. So it is, too, if data begins as an envelope does but
// is malformed or of another version: then the error is ErrEnvelope, and whoever handles the payload nevertheless takes
// the line for a part of it. Parse does not allocate.
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

// parseHeader parses the line without the magic. It is strict: a payload that merely resembles an envelope is none.
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

// Get returns traceparent or tracestate, "" if there is none. The first Get after Parse costs an allocation for each of
// the two that there is.
func (e *Envelope) Get(key string) string {
	e.load()
	return e.get(key)
}

// Keys returns which of traceparent and tracestate there are.
func (e *Envelope) Keys() []string { return keys(e) }

func (e *Envelope) load() {
	if !e.read {
		e.read = true
		for field, value := range e.unread {
			e.values[field] = string(value)
		}
	}
}
