package carrier

// A JSON carries trace context in a message that is a JSON object, as its members traceparent and tracestate:
//
//	{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "type": "message", …}
//
// A CloudEvent in the JSON format has them in the same place, as the attributes of the Distributed Tracing extension.
// By the rules of that, who passes on an event which has a context leaves it alone. A batch of events is an array and
// has no context; each event in it may have one.
//
// The zero JSON is an empty message. A JSON is not safe for concurrent use.
type JSON struct {
	fields
	payload []byte
}

// Reset makes the carrier that of payload, which it reads later and never changes. Reset does not allocate.
func (j *JSON) Reset(payload []byte) { *j = JSON{payload: payload} }

// Get returns traceparent or tracestate, and "" if the payload doesn't have it or has anything but a string there. If
// there are several of one name, the first counts. The first Get searches the payload, which costs an allocation for
// each of the two that there is.
func (j *JSON) Get(key string) string {
	if !j.read {
		j.read = true
		j.readFrom(search(j.payload))
	}
	return j.get(key)
}

// Keys returns which of traceparent and tracestate there are.
func (j *JSON) Keys() []string { return keys(j) }

// Bytes returns the payload with the fields that were set as its first members, instead of all that it had of these
// names. It is the payload itself if nothing was set or if it isn't one JSON object, and otherwise a copy, the one
// allocation.
func (j *JSON) Bytes() []byte {
	s := scanner{data: j.payload}
	if !j.set || !s.enter() {
		return j.payload
	}
	out := j.insert(&s, "", "")
	if out == nil || !s.ended() {
		return j.payload
	}
	return out
}
