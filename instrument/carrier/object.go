package carrier

import "strings"

// maxScanBytes is the number of bytes of a document that are searched.
const maxScanBytes = 64 << 10

// search returns a scanner over the part of a payload that may be searched.
func search(payload []byte) scanner {
	return scanner{data: payload[:min(len(payload), maxScanBytes)]}
}

// readFrom reads the fields of the object that begins at s. The first of each name counts.
func (f *fields) readFrom(s scanner) {
	var found [2]bool
	for more := s.enter() && s.next(); more; more = s.skip() && s.next() {
		if field := s.field(); field >= 0 && !found[field] {
			found[field] = true
			f.values[field] = s.value(field)
		}
		if found[traceparent] && found[tracestate] {
			return
		}
	}
}

// insert returns a copy of the document of s, which has entered an object. The fields are the object's first members
// and replace those that it had. If the fields are wrapped in the texts before and after, to become a member that the
// object does not have, all other members stay. insert moves s behind the object. It returns nil if the object is
// malformed.
func (f *fields) insert(s *scanner, before, after string) []byte {
	members := s.pos
	out := make([]byte, 0, len(s.data)+len(before)+f.quotedLen()+len(after)+len(","))
	out = append(out, s.data[:members]...)
	out = append(out, before...)
	out = f.appendQuoted(out)
	out = append(out, after...)
	for s.next() {
		from, replaced := s.from, before == "" && s.field() >= 0
		if !s.skip() {
			return nil
		}
		if replaced {
			continue
		}
		if len(out) > members {
			out = append(out, ',')
		}
		out = append(out, s.data[from:s.pos]...)
	}
	if !s.closed {
		return nil
	}
	return append(out, s.data[s.pos-len("}"):]...)
}

// appendQuoted appends the fields as members of an object.
func (f *fields) appendQuoted(dst []byte) []byte {
	for field, value := range f.values {
		if value == "" || f.values[traceparent] == "" {
			continue
		}
		if field > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, names()[field]...)
		dst = append(dst, `":"`...)
		for i := range len(value) {
			if value[i] == '"' || value[i] == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, value[i])
		}
		dst = append(dst, '"')
	}
	return dst
}

// quotedLen returns the largest number of bytes that appendQuoted appends.
func (f *fields) quotedLen() int {
	n := 0
	for field, value := range f.values {
		n += len(`,"":""`) + len(names()[field]) + len(value) + strings.Count(value, `"`) + strings.Count(value, `\`)
	}
	return n
}
