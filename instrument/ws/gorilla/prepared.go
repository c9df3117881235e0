package gorilla

import (
	"reflect"

	"github.com/gorilla/websocket"
)

// contents returns the content of a prepared message. The transport has no method for that, so contents reads the
// fields, which do not change once the message is made. If it can't find them, the kind is 0, which no message has.
func contents(pm *websocket.PreparedMessage) (kind int, data []byte) {
	if pm == nil {
		return 0, nil
	}
	fields := reflect.ValueOf(pm).Elem()
	for i := range fields.NumField() {
		switch f := fields.Field(i); {
		case f.Kind() == reflect.Int:
			kind = int(f.Int())
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
			data = f.Bytes()
		}
	}
	return kind, data
}
