package grpcstream

import (
	"strings"

	"github.com/sockscope/sockscope/instrument"
)

// maxTypeBytes is the largest length of the name of a message type.
const maxTypeBytes = 64

// WithMethods registers methods by their full names, so that they become values of the label type. Generated code has
// the names in constants such as pb.Chat_Join_FullMethodName. WithMethods is like instrument.WithMessageTypes, which
// costs the same, but shortens names that are too long. A full name of more than 64 bytes loses as many of the first
// parts of its package as necessary: "/example.platform.infrastructure.notifications.v1.Notifications/Subscribe"
// becomes "platform.infrastructure.notifications.v1.Notifications/Subscribe". If service and method alone are longer,
// their last 64 bytes remain. Methods that end up with the same name are counted together. Methods that are not
// registered are "other".
func WithMethods(fullNames ...string) instrument.Option {
	types := make([]string, 0, len(fullNames))
	for _, name := range fullNames {
		types = append(types, typeName(name))
	}
	return instrument.WithMessageTypes(types...)
}

// typeName returns the name of the message type of a method. It does not allocate.
func typeName(method string) string {
	cut := len(method) - maxTypeBytes
	if cut <= 0 {
		return method
	}
	tail := method[cut:]
	if before := method[cut-1]; before == '.' || before == '/' {
		return tail // no part is cut in two
	}
	if dot := strings.IndexByte(tail, '.'); dot >= 0 && dot < strings.IndexByte(tail, '/') {
		return tail[dot+1:]
	}
	return tail
}
