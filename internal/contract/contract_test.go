package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContractIsWhole(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Resource) == 0 || len(c.Values) == 0 || len(c.Parts) == 0 {
		t.Error("the contract has no resource, values or parts")
	}
	for _, part := range c.Parts {
		if part.Meaning == "" {
			t.Errorf("%s says nothing of what it is", part.Name)
		}
	}
	if _, err := c.Part("nobody"); err == nil {
		t.Error("there is a part nobody")
	}
}

func TestParseRefuses(t *testing.T) {
	const frame = "values: {way: {closed: [in, out], meaning: m}}\nparts: [{name: p, meaning: m, metrics: ["
	for _, tt := range []struct{ metrics, want string }{
		{"{name: a_total, type: counter, unit: as, meaning: m, labels: {direction: way}}", ""},
		{"{name: a_seconds, type: histogram, unit: seconds, meaning: m, buckets: [1]}", ""},
		{"{name: a, type: gauge, unit: as, meaning: m, help: h}", "field help not found"},
		{"{name: a, type: summary, unit: as, meaning: m}", `type "summary"`},
		{"{name: a, type: gauge, unit: as}", "its meaning or its unit"},
		{"{name: a, type: histogram, unit: as, meaning: m}", "a histogram has buckets"},
		{"{name: a, type: counter, unit: as, meaning: m}", "_total"},
		{"{name: a_total, type: gauge, unit: as, meaning: m}", "_total"},
		{"{name: a_seconds, type: gauge, unit: as, meaning: m}", "its unit is as"},
		{"{name: a, type: gauge, unit: bytes, meaning: m}", "its unit is bytes"},
		{"{name: a, type: gauge, unit: as, meaning: m, labels: {direction: ways}}", `"ways", which is no set`},
		{"{name: a, type: gauge, unit: as, meaning: m}, {name: a, type: gauge, unit: as, meaning: m}", "twice"},
	} {
		_, err := Parse([]byte(frame + tt.metrics + "]}]"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.metrics, err, tt.want)
		}
	}
}

func TestTextIsRead(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("written and read again (-first +second):\n%s", diff)
	}
}

func TestOtherTransportsHaveTheirNames(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var metrics, spans, attributes []string
	for _, part := range c.Of("sse") {
		for _, m := range part.Metrics {
			metrics = append(metrics, m.Name)
		}
		for _, s := range part.Spans {
			spans = append(spans, s.Name)
			attributes = append(attributes, s.Always...)
		}
	}
	for _, tt := range []struct {
		of    []string
		has   string
		never string
	}{
		{metrics, "sse_connections_total", "websocket_connections_total"},
		{metrics, "sockscope_label_overflow_total", "sse_client_connected"},
		{metrics, "websocket_client_connected", "websocket_draining"},
		{spans, "sse.message {type}", "websocket.message {type}"},
		{attributes, "sse.message.size", "sse.id"},
	} {
		all := " " + strings.Join(tt.of, " ") + " "
		if !strings.Contains(all, " "+tt.has+" ") || strings.Contains(all, " "+tt.never+" ") {
			t.Errorf("%s is not there, or %s is", tt.has, tt.never)
		}
	}
	if c.Parts[0].Metrics[2].Name != "websocket_active_connections" {
		t.Errorf("the contract itself was changed: %s", c.Parts[0].Metrics[2].Name)
	}
}
