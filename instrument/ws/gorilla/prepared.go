package gorilla

import (
	"reflect"

	"github.com/gorilla/websocket"
)

// contents returns what a prepared message holds. The transport has no method for it, so its fields are looked at; they
// do not change once the message is made. Where they cannot be found, the type is 0, which is no message's.
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
