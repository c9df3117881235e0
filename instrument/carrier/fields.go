package carrier

import "go.opentelemetry.io/otel/propagation"

// The fields of W3C Trace Context, in the order in which they are kept.
const (
	traceparent = iota
	tracestate
)

const maxValueBytes = 512

// names is indexed by field.
func names() [2]string { return [...]string{"traceparent", "tracestate"} }

// fields is the trace context of one message. It is read when it is needed.
type fields struct {
	values    [2]string // by field
	read, set bool
}

// Set sets traceparent or tracestate. The first Set discards the context that came with the message, because the two
// fields belong together. Set ignores other keys, and values that Get would not return; see the package's
// documentation. An empty traceparent removes both fields, because a tracestate needs a traceparent.
func (f *fields) Set(key, value string) {
	field := fieldOf(key)
	if field < 0 || value != "" && !printable(field, value) {
		return
	}
	if !f.set {
		*f = fields{read: true, set: true}
	}
	f.values[field] = value
}

// get returns a field that was read or set before.
func (f *fields) get(key string) string {
	if field := fieldOf(key); field >= 0 {
		return f.values[field]
	}
	return ""
}

// fieldOf returns the field of a key, or -1 if the key is neither.
func fieldOf(key string) int {
	for field, name := range names() {
		if key == name {
			return field
		}
	}
	return -1
}

// keys returns the names of the fields that c has.
func keys(c propagation.TextMapCarrier) []string {
	var present []string
	for _, name := range names() {
		if c.Get(name) != "" {
			present = append(present, name)
		}
	}
	return present
}

// printable reports whether a value is valid for the field.
func printable[T string | []byte](field int, value T) bool {
	lowest := byte(' ')
	if field == traceparent {
		lowest++
	}
	for i := range len(value) {
		if value[i] < lowest || value[i] > '~' {
			return false
		}
	}
	return 0 < len(value) && len(value) <= maxValueBytes
}
