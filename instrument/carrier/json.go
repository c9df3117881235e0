package carrier

// A JSON carries trace context in a message that is a JSON object, as its members traceparent and tracestate:
//
//	{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "type": "message", …}
//
// A CloudEvent in the JSON format has them in the same place, as the attributes of the Distributed Tracing extension.
// By the rules of that extension, an intermediary does not change the context of an event that has one. A batch of
// events is an array and has no context, but each event in it may have one.
//
// The zero JSON is an empty message. A JSON is not safe for concurrent use.
type JSON struct {
	fields
	payload []byte
}

// Reset sets the message. The carrier reads the payload later and never changes it. Reset does not allocate.
func (j *JSON) Reset(payload []byte) { *j = JSON{payload: payload} }

// Get returns traceparent or tracestate, or "" if the payload doesn't have it or its value isn't a string. If the
// payload has several members of one name, the first counts. The first Get searches the payload and allocates once for
// each of the two that it has.
func (j *JSON) Get(key string) string {
	if !j.read {
		j.read = true
		j.readFrom(search(j.payload))
	}
	return j.get(key)
}

// Keys returns the ones of traceparent and tracestate that the message has.
func (j *JSON) Keys() []string { return keys(j) }

// Bytes returns the payload with the fields that were set as its first members. They replace all members of these
// names. If nothing was set, or the payload isn't one JSON object, Bytes returns the payload itself. Otherwise it
// returns a copy, which is the only allocation.
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
