package instrument_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"

	"github.com/sockscope/sockscope/instrument"
)

// TestHandled notes messages that others have traced: what is counted, which records there are, and that no span is
// ours.
func TestHandled(t *testing.T) {
	s := recordSpans()
	theirs, span := s.provider.Tracer("theirs").Start(t.Context(), "theirs")
	gone, leave := context.WithCancel(theirs)
	leave()
	type result struct {
		record, span string // the record of the message and its span_id; "" is none
		errors       float64
		exemplar     string // span_id
	}
	id := span.SpanContext().SpanID().String()
	tests := map[string]struct {
		ctx  context.Context
		took time.Duration
		err  error
		want result
	}{
		"traced":                {theirs, time.Millisecond, nil, result{exemplar: id}},
		"not traced":            {t.Context(), time.Millisecond, nil, result{}},
		"slow":                  {theirs, time.Second, nil, result{record: "message slow", span: id, exemplar: id}},
		"failed":                {theirs, time.Millisecond, errors.New("no"), result{record: "message failed", span: id, errors: 1, exemplar: id}},
		"failed and not traced": {t.Context(), time.Millisecond, errors.New("no"), result{record: "message failed", errors: 1}},
		"peer has left":         {gone, time.Millisecond, context.Canceled, result{exemplar: id}},
		"negative time":         {t.Context(), -time.Second, nil, result{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithLogger(jsonLogger(&out)),
				instrument.WithMessageTypes("join"))
			c := open(t, o)
			out.Reset()
			before := len(s.Ended())
			c.Handled(tt.ctx, o.MessageType("join"), 10, tt.took, tt.err)
			got := result{errors: sum(t, registryOf(t, o), "websocket_errors_total"), exemplar: durationExemplar(t, o)}
			for _, line := range lines(t, &out) {
				got.record = fmt.Sprint(line["msg"])
				got.span, _ = line["span_id"].(string)
			}
			if diff := gocmp.Diff(tt.want, got, gocmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if ended := s.Ended()[before:]; len(ended) != 0 {
				t.Errorf("%d spans have ended, want none", len(ended))
			}
			if count, total := observations(t, o, "websocket_message_duration_seconds"); count != 1 || total != max(0, tt.took).Seconds() {
				t.Errorf("%v observations of %v s, want one of %v", count, total, tt.took)
			}
			if got := c.Stats(); got.ReceivedMessages != 1 || got.ReceivedBytes != 10 {
				t.Errorf("statistics are %+v, want one message of 10 bytes", got)
			}
		})
	}
	span.End()
	if got := s.Ended()[len(s.Ended())-1]; len(got.Attributes()) != 0 || got.Status().Code != codes.Unset {
		t.Errorf("their span has the attributes %v and the status %v, want none", got.Attributes(), got.Status())
	}
	(*instrument.Conn)(nil).Handled(theirs, instrument.MessageType{}, 1, 0, nil)
}

// durationExemplar returns the span_id of the exemplar of the messages' handling times, if there is one.
func durationExemplar(t *testing.T, o *instrument.Observer) string {
	t.Helper()
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found string
	for _, family := range families {
		if family.GetName() != "websocket_message_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				for _, label := range b.GetExemplar().GetLabel() {
					if label.GetName() == "span_id" {
						found = label.GetValue()
					}
				}
			}
		}
	}
	return found
}
