package carrier

// A JSONRPC carries trace context in a JSON-RPC 2.0 request or notification, in the member _meta of its params, as the
// Model Context Protocol has it (SEP-414):
//
//	{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"_meta": {"traceparent": "00-0af7…-01"}, …}}
//
// Responses, batches and calls whose params are an array have no place for it.
//
// The zero JSONRPC is an empty message. A JSONRPC is not safe for concurrent use.
type JSONRPC struct {
	fields
	payload []byte
}

// Reset makes the carrier that of payload, which it reads later and never changes. Reset does not allocate.
func (r *JSONRPC) Reset(payload []byte) { *r = JSONRPC{payload: payload} }

// Get returns traceparent or tracestate, and "" if the payload doesn't have it or has anything but a string there. If
// there are several members of one name, the first counts. The first Get searches the payload, which costs an
// allocation for each of the two that there is.
func (r *JSONRPC) Get(key string) string {
	if !r.read {
		r.read = true
		if s := search(r.payload); s.find("params") && s.find("_meta") {
			r.readFrom(s)
		}
	}
	return r.get(key)
}

// Keys returns which of traceparent and tracestate there are.
func (r *JSONRPC) Keys() []string { return keys(r) }

// Bytes returns the payload with the fields that were set as the first members of params._meta, instead of all that it
// had of these names. Where there is no _meta, or are no params, they are added. It is the payload itself if nothing
// was set or there is no place for it, and otherwise a copy, the one allocation.
func (r *JSONRPC) Bytes() []byte {
	if !r.set {
		return r.payload
	}
	s, before, after := r.place()
	if s.data == nil || r.values[traceparent] == "" && before != "" {
		return r.payload
	}
	if out := r.insert(&s, before, after); out != nil {
		return out
	}
	return r.payload
}

// place returns a scanner that has entered the object into which the fields belong, and what they are to be wrapped in.
// The scanner is empty if there is no place for them.
func (r *JSONRPC) place() (place scanner, before, after string) {
	call, params := false, -1
	s := scanner{data: r.payload}
	for more := s.enter() && s.next(); more; more = s.skip() && s.next() {
		switch {
		case s.named("method"):
			call = true
		case params < 0 && s.named("params"):
			params = s.pos
		}
	}
	if !call || !s.closed || !s.ended() {
		return scanner{}, "", ""
	}
	s = scanner{data: r.payload}
	if params < 0 {
		s.enter()
		return s, `"params":{"_meta":{`, `}}`
	}
	s.pos = params
	meta := s
	if meta.find("_meta") {
		if !meta.enter() {
			return scanner{}, "", ""
		}
		return meta, "", ""
	}
	if !s.enter() {
		return scanner{}, "", ""
	}
	return s, `"_meta":{`, `}`
}
