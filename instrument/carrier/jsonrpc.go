package carrier

// A JSONRPC carries trace context in a JSON-RPC 2.0 request or notification, in the member _meta of its params, as the
// Model Context Protocol defines it (SEP-414):
//
//	{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"_meta": {"traceparent": "00-0af7…-01"}, …}}
//
// Responses, batches, and calls whose params are an array can't carry trace context.
//
// The zero JSONRPC is an empty message. A JSONRPC is not safe for concurrent use.
type JSONRPC struct {
	fields
	payload []byte
}

// Reset sets the message. The carrier reads the payload later and never changes it. Reset does not allocate.
func (r *JSONRPC) Reset(payload []byte) { *r = JSONRPC{payload: payload} }

// Get returns traceparent or tracestate, or "" if the payload doesn't have it or its value isn't a string. If the
// payload has several members of one name, the first counts. The first Get searches the payload and allocates once for
// each of the two that it has.
func (r *JSONRPC) Get(key string) string {
	if !r.read {
		r.read = true
		if s := search(r.payload); s.find("params") && s.find("_meta") {
			r.readFrom(s)
		}
	}
	return r.get(key)
}

// Keys returns the ones of traceparent and tracestate that the message has.
func (r *JSONRPC) Keys() []string { return keys(r) }

// Bytes returns the payload with the fields that were set as the first members of params._meta. They replace all
// members of these names. Bytes adds _meta and params if they are missing. If nothing was set, or the payload can't
// carry trace context, Bytes returns the payload itself. Otherwise it returns a copy, which is the only allocation.
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

// place returns a scanner that has entered the object into which the fields belong, and the texts before and after
// them. The scanner is empty if there is no place for them.
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
