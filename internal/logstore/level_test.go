package logstore

import (
	"testing"
	"time"
)

func TestLevelOfLine(t *testing.T) {
	for _, tt := range []struct{ store, line, want string }{
		{"info", "no JSON", "info"},
		{"info", `{"level": "ERROR", "msg": "m"}`, "error"},
		{"trace", `{"level": "silly", "message": "m"}`, "trace"}, // winston's
		{"error", `{"level": 50, "msg": "m"}`, "error"},          // pino's
		{"", `{"level": "silly", "message": "m"}`, "silly"},
		{"warn", `{"message": "m"}`, "warn"},
	} {
		fields := map[string]string{}
		if tt.store != "" {
			fields["level"] = tt.store
		}
		if got := newRecord(time.Now(), tt.line, fields).Level; got != tt.want {
			t.Errorf("%q with the level %q has %q, want %q", tt.line, tt.store, got, tt.want)
		}
	}
}
