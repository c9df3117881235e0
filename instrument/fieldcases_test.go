package instrument_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
)

// These tests are named for the numbers of faults that were found in the field.

// TestFieldCase01BroadcastAcrossObservers has one broadcast reach connections of two observers that were made an hour
// apart.
func TestFieldCase01BroadcastAcrossObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sockets := newObserver(t)
		time.Sleep(time.Hour)
		streams := newObserver(t, instrument.WithProtocol("sse"))
		for _, from := range []*instrument.Observer{sockets, streams} {
			_, b := from.BeginBroadcast(t.Context())
			socket, stream := open(t, sockets), open(t, streams)
			toSocket, toStream := b.BeginDelivery(socket), b.BeginDelivery(stream)
			time.Sleep(10 * time.Millisecond)
			for _, c := range []*instrument.Conn{socket, stream} {
				if got := c.Stats().QueuedFor; got != 10*time.Millisecond {
					t.Errorf("queued for %v, want 10ms", got)
				}
			}
			toSocket.Sent(instrument.MessageType{}, 1)
			toStream.Sent(instrument.MessageType{}, 1)
			b.End(nil)
		}
		for name, o := range map[string]*instrument.Observer{"websocket": sockets, "sse": streams} {
			if n, took := observations(t, o, name+"_delivery_duration_seconds"); n != 2 || took != 0.02 {
				t.Errorf("%s: %v deliveries took %v s, want 2 and 0.02", name, n, took)
			}
		}
	})
}

// observations returns how many observations the histogram has and their sum, whatever their labels.
func observations(t *testing.T, o *instrument.Observer, name string) (count, total float64) {
	t.Helper()
	families, err := registryOf(t, o).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				count += float64(m.GetHistogram().GetSampleCount())
				total += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return count, total
}

// TestFieldCase02TrustByOrigin has a stranger's trace context come in by the header and by what a middleware has put
// into the request's context: it is linked, unless the peer is trusted.
func TestFieldCase02TrustByOrigin(t *testing.T) {
	header := sender("01")
	extracted := propagation.TraceContext{}.Extract(context.Background(), header)
	internal := func(_ context.Context, r instrument.Request) bool { return r.Host == "internal" }
	tests := map[string]struct {
		ctx     context.Context
		request instrument.Request
		options []instrument.Option
		child   bool
	}{
		"header":                         {context.Background(), instrument.Request{Header: header}, nil, false},
		"context":                        {extracted, instrument.Request{}, nil, false},
		"both":                           {extracted, instrument.Request{Header: header}, nil, false},
		"header of a trusted peer":       {context.Background(), instrument.Request{Header: header}, []instrument.Option{instrument.WithTrustedPeers()}, true},
		"context of a trusted peer":      {extracted, instrument.Request{}, []instrument.Option{instrument.WithTrustedPeers()}, true},
		"trusted by the request":         {extracted, instrument.Request{Host: "internal"}, []instrument.Option{instrument.WithTrust(internal)}, true},
		"not trusted by the request":     {extracted, instrument.Request{Host: "example.com"}, []instrument.Option{instrument.WithTrust(internal)}, false},
		"header, trusted by the request": {context.Background(), instrument.Request{Host: "internal", Header: header}, []instrument.Option{instrument.WithTrust(internal)}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := recordSpans()
			o := newObserver(t, append(tt.options, s.option(), instrument.WithSampleRatio(0))...)
			_, h := o.BeginHandshake(tt.ctx, tt.request)
			c := h.Opened(101)
			_, b := o.BeginBroadcast(extracted)
			b.End(nil)
			// The connection's messages are treated as its handshake was.
			_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, header)
			m.End(nil)
			var inSendersTrace []string
			for _, span := range s.Ended() {
				if span.SpanContext().TraceID().String() == senderTraceID {
					inSendersTrace = append(inSendersTrace, span.Name())
				} else if links := span.Links(); len(links) != 1 || links[0].SpanContext.TraceID().String() != senderTraceID {
					t.Errorf("%s has %d links, want one to the sender", span.Name(), len(links))
				}
			}
			want := []string(nil)
			if tt.child {
				want = []string{"websocket.handshake", "websocket.message other"}
				if len(tt.options) > 0 && tt.request.Host == "" {
					want = []string{"websocket.handshake", "websocket.broadcast", "websocket.message other"}
				}
			}
			if diff := gocmp.Diff(want, inSendersTrace); diff != "" {
				t.Errorf("spans in the sender's trace, -want +got:\n%s", diff)
			}
		})
	}
}

// TestFieldCase02RequestSpanIsNoParent hands the request's context, with the span of an HTTP middleware, to a message
// that is not sampled: its children must not become part of the request's trace.
func TestFieldCase02RequestSpanIsNoParent(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithSampleRatio(0))
	tracer := s.provider.Tracer("test")
	request, span := tracer.Start(t.Context(), "GET /ws")
	ctx, h := o.BeginHandshake(request, instrument.Request{})
	c := h.Opened(101)
	for name, parent := range map[string]context.Context{"request": request, "handshake": ctx} {
		mctx, m := c.BeginMessage(parent, instrument.MessageType{}, 1, nil)
		_, child := tracer.Start(mctx, "query")
		m.End(nil)
		child.End()
		if child.SpanContext().TraceID() == span.SpanContext().TraceID() {
			t.Errorf("a message begun with the context of the %s has children in the trace of the request", name)
		}
	}
}

// TestFieldCase03Panic has a handler panic within Handle: the message has its duration, span, error and record.
func TestFieldCase03Panic(t *testing.T) {
	type outcome struct {
		Panics, Handler, Durations float64
		Status, ErrorType          string
		Records                    []string
	}
	tests := map[string]struct {
		value any
		want  outcome
	}{
		"text": {"boom", outcome{1, 0, 1, "panic: boom", "panic", []string{"message failed: panic: boom"}}},
		"error": {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), outcome{
			1, 0, 1, "panic: read: unexpected EOF", "io.ErrUnexpectedEOF", []string{"message failed: panic: read: unexpected EOF"},
		}},
		"given up on purpose": {http.ErrAbortHandler, outcome{Durations: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := recordSpans()
			o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithLogger(jsonLogger(&out)))
			c := open(t, o)
			out.Reset()
			func() {
				defer func() {
					if got := recover(); got != tt.value {
						t.Errorf("recovered %v, want %v", got, tt.value)
					}
					// An adapter sees the same panic, which counts once.
					cause := c.Panicked(t.Context(), tt.value)
					if abort := tt.value == http.ErrAbortHandler; (cause == nil) != abort { //nolint:errorlint // the very value
						t.Errorf("Panicked = %v", cause)
					}
				}()
				_ = c.Handle(t.Context(), instrument.MessageType{}, 10, nil, func(context.Context) error { panic(tt.value) })
			}()
			got := outcome{
				Panics:  value(t, o, "websocket_errors_total", "kind", "panic"),
				Handler: value(t, o, "websocket_errors_total", "kind", "handler"),
			}
			got.Durations, _ = observations(t, o, "websocket_message_duration_seconds")
			for _, line := range lines(t, &out) {
				got.Records = append(got.Records, fmt.Sprintf("%v: %v", line["msg"], line["error"]))
			}
			message := s.Ended()[1]
			got.Status = message.Status().Description
			for _, a := range message.Attributes() {
				if a.Key == "error.type" {
					got.ErrorType = a.Value.AsString()
				}
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("ends its goroutine", func(t *testing.T) {
		o := newObserver(t)
		c := open(t, o)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = c.Handle(t.Context(), instrument.MessageType{}, 1, nil, func(context.Context) error {
				runtime.Goexit()
				return nil
			})
		}()
		<-done
		if got := value(t, o, "websocket_errors_total", "kind", "panic"); got != 1 {
			t.Errorf("%v errors of the kind panic, want 1", got)
		}
	})
	t.Run("twice, recovered between", func(t *testing.T) {
		o := newObserver(t)
		c := open(t, o)
		for range 2 {
			func() {
				defer func() { _ = recover() }()
				_ = c.Handle(t.Context(), instrument.MessageType{}, 1, nil, func(context.Context) error { panic("boom") })
			}()
		}
		if got := value(t, o, "websocket_errors_total", "kind", "panic"); got != 2 {
			t.Errorf("%v errors of the kind panic, want 2", got)
		}
	})
}

// TestFieldCase17Misuse uses the API wrongly. Nothing counts twice, nothing panics, and a warning says it once.
func TestFieldCase17Misuse(t *testing.T) {
	t.Run("negative size", func(t *testing.T) {
		var out bytes.Buffer
		o := newObserver(t, instrument.WithLogger(jsonLogger(&out)))
		c := open(t, o)
		out.Reset()
		c.Received(instrument.MessageType{}, -100)
		c.Sent(instrument.MessageType{}, -1)
		if got := c.Stats(); got.ReceivedBytes != 0 || got.SentBytes != 0 || got.ReceivedMessages != 1 {
			t.Errorf("statistics are %+v, want one message of no bytes in each direction", got)
		}
		if got := lines(t, &out); len(got) != 1 || !strings.Contains(fmt.Sprint(got[0]["problem"]), "negative") {
			t.Errorf("records are %v, want one that names the negative size", got)
		}
	})
	t.Run("nil pointer as a carrier", func(t *testing.T) {
		o := newObserver(t, instrument.WithSampleRatio(1), recordSpans().option(), instrument.WithTrustedPeers())
		var envelope *nilCarrier
		_, m := open(t, o).BeginMessage(t.Context(), instrument.MessageType{}, 1, envelope)
		m.End(nil)
	})
	t.Run("refused as connected", func(t *testing.T) {
		var out bytes.Buffer
		o := newObserver(t, instrument.WithLogger(jsonLogger(&out)))
		for range 2 {
			_, h := o.BeginHandshake(t.Context(), instrument.Request{})
			h.Refused(instrument.StatusConnected, http.StatusSwitchingProtocols, nil)
		}
		if got := value(t, o, "websocket_connections_total", "status", "connected"); got != 0 {
			t.Errorf("%v connections, want none", got)
		}
		if got := value(t, o, "websocket_connections_total", "status", "other"); got != 2 {
			t.Errorf("%v handshakes that ended in another way, want 2", got)
		}
		if got := strings.Count(out.String(), "refused with the status connected"); got != 1 {
			t.Errorf("told %d times, want once:\n%s", got, &out)
		}
	})
	t.Run("End twice", func(t *testing.T) {
		var out bytes.Buffer
		s := recordSpans()
		o := newObserver(t, s.option(), instrument.WithSampleRatio(1), instrument.WithLogger(jsonLogger(&out)))
		c := open(t, o)
		out.Reset()
		func() {
			_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
			defer m.End(nil)
			m.End(errors.New("failed"))
		}()
		ping := c.BeginPing()
		ping.End(instrument.PingPong)
		ping.End(instrument.PingTimeout)
		delivery := c.BeginDelivery()
		delivery.Sent(instrument.MessageType{}, 1)
		delivery.Dropped(instrument.DropClosed)
		_, b := o.BeginBroadcast(t.Context())
		b.End(nil)
		b.End(nil)
		registry := registryOf(t, o)
		for name, want := range map[string]float64{
			"websocket_pings_total": 1, "websocket_messages_dropped_total": 0, "websocket_errors_total": 1,
		} {
			if got := sum(t, registry, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		for _, name := range []string{"websocket_message_duration_seconds", "websocket_broadcast_recipients"} {
			if got, _ := observations(t, o, name); got != 1 {
				t.Errorf("%s has %v observations, want 1", name, got)
			}
		}
		var problems int
		for _, line := range lines(t, &out) {
			if line["msg"] == "instrumentation misused" {
				problems++
			}
		}
		if problems != 1 {
			t.Errorf("%d warnings, want 1", problems)
		}
	})
	t.Run("counted by an adapter and by the application", func(t *testing.T) {
		o := newObserver(t)
		c := open(t, o)
		adapter := c.BeginCounting()
		adapter.Received(instrument.MessageType{}, 10)
		_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 10, nil)
		m.End(nil)
		c.BeginDelivery().Sent(instrument.MessageType{}, 20)
		adapter.Sent(instrument.MessageType{}, 20)
		registry := registryOf(t, o)
		if got := sum(t, registry, "websocket_messages_total"); got != 2 {
			t.Errorf("%v messages, want 2", got)
		}
		if got, _ := observations(t, o, "websocket_message_duration_seconds"); got != 1 {
			t.Errorf("%v durations, want 1", got)
		}
	})
	t.Run("more queued than there is room", func(t *testing.T) {
		o := newObserver(t)
		c := open(t, o)
		c.SetQueueCapacity(1)
		c.BeginDelivery()
		c.BeginDelivery()
		if got := sum(t, registryOf(t, o), "websocket_send_queue_max_ratio"); got != 1 {
			t.Errorf("ratio is %v, want 1", got)
		}
	})
	t.Run("no close code", func(t *testing.T) {
		var out bytes.Buffer
		o := newObserver(t, instrument.WithLogger(jsonLogger(&out)))
		open(t, o).Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway})
		if closed := lines(t, &out)[1]; closed["msg"] != "connection closed" || closed["code"] != nil {
			t.Errorf("record is %v, want a close without a code", closed)
		}
	})
	t.Run("a handshake in the context that has ended, or is another observer's", func(t *testing.T) {
		o := newObserver(t)
		ctx, h := o.BeginHandshake(t.Context(), instrument.Request{})
		if o.HandshakeFromContext(ctx) != h || newObserver(t).HandshakeFromContext(ctx) != nil {
			t.Error("HandshakeFromContext must return the observer's own handshake, and no other's")
		}
		h.Opened(101)
		if o.HandshakeFromContext(ctx) != nil {
			t.Error("HandshakeFromContext returned a handshake that has ended")
		}
	})
}

// nilCarrier panics when it is used.
type nilCarrier struct{ header map[string]string }

func (c *nilCarrier) Get(key string) string { return c.header[key] }
func (c *nilCarrier) Set(key, value string) { c.header[key] = value }
func (c *nilCarrier) Keys() []string        { return []string{fmt.Sprint(len(c.header))} }

// TestFieldCase18Errors has handlers fail in different ways.
func TestFieldCase18Errors(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	expected := errors.New("stale quote")
	classify := instrument.WithErrorClassifier(func(_ context.Context, err error) (instrument.ErrorKind, bool) {
		return instrument.ErrorDecode, !errors.Is(err, expected)
	})
	tests := map[string]struct {
		ctx       context.Context
		err       error
		option    instrument.Option
		kind      string // "" is no error
		errorType string
	}{
		"none":                   {t.Context(), nil, nil, "", ""},
		"cancelled, peer left":   {gone, context.Canceled, nil, "", ""},
		"cancelled by itself":    {t.Context(), context.Canceled, nil, "handler", "context.Canceled"},
		"deadline":               {t.Context(), fmt.Errorf("query: %w", context.DeadlineExceeded), nil, "handler", "context.DeadlineExceeded"},
		"deadline of a socket":   {t.Context(), &os.PathError{Op: "read", Err: os.ErrDeadlineExceeded}, nil, "handler", "*fs.PathError"},
		"own type":               {t.Context(), fmt.Errorf("save: %w", &storeError{}), nil, "handler", "*instrument_test.storeError"},
		"names itself":           {t.Context(), namedError{}, nil, "handler", "store_full"},
		"joined":                 {t.Context(), errors.Join(io.EOF, errors.New("more")), nil, "handler", "io.EOF"},
		"not comparable":         {t.Context(), listError{"a"}, nil, "handler", "instrument_test.listError"},
		"holds such a one":       {t.Context(), wrapError{listError{"a"}}, nil, "handler", "instrument_test.wrapError"},
		"nil pointer":            {t.Context(), (*textError)(nil), nil, "handler", "*instrument_test.textError"},
		"classified as no error": {t.Context(), expected, classify, "", ""},
		"classified":             {t.Context(), errors.New("no JSON"), classify, "decode", "*errors.errorString"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := recordSpans()
			o := newObserver(t, s.option(), instrument.WithSampleRatio(1))
			if tt.option != nil {
				o = newObserver(t, s.option(), instrument.WithSampleRatio(1), tt.option)
			}
			c := open(t, o)
			err := c.Handle(tt.ctx, instrument.MessageType{}, 1, nil, func(context.Context) error { return tt.err })
			if fmt.Sprint(err) != fmt.Sprint(tt.err) {
				t.Errorf("Handle = %v, want the handler's error %v", err, tt.err)
			}
			want := 0.0
			if tt.kind != "" {
				want = 1
				if got := value(t, o, "websocket_errors_total", "kind", tt.kind); got != 1 {
					t.Errorf("%v errors of the kind %s, want 1", got, tt.kind)
				}
			}
			if got := sum(t, registryOf(t, o), "websocket_errors_total"); got != want {
				t.Errorf("%v errors, want %v", got, want)
			}
			errorType := ""
			for _, a := range s.Ended()[1].Attributes() {
				if a.Key == "error.type" {
					errorType = a.Value.AsString()
				}
			}
			if errorType != tt.errorType {
				t.Errorf("error.type is %q, want %q", errorType, tt.errorType)
			}
		})
	}
}

type storeError struct{}

func (*storeError) Error() string { return "store is full" }

type namedError struct{}

func (namedError) Error() string     { return "store is full" }
func (namedError) ErrorType() string { return "store_full" }

type listError []string

func (e listError) Error() string { return strings.Join(e, ", ") }

// wrapError can be compared by its type, but not if what it holds can't.
type wrapError struct{ cause error }

func (e wrapError) Error() string { return "wrapped: " + e.cause.Error() }
func (e wrapError) Unwrap() error { return e.cause }

type textError struct{ text string }

func (e *textError) Error() string { return e.text }

// TestFieldCase18Idle has a connection that only receives answer pings, and one that only sends: neither is idle.
func TestFieldCase18Idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(t)
		answers, receives := open(t, o), open(t, o)
		open(t, o) // is idle
		for range 20 {
			time.Sleep(20 * time.Second)
			answers.BeginPing().End(instrument.PingPong)
			receives.Sent(instrument.MessageType{}, 10)
		}
		if got := value(t, o, "websocket_idle_connections", "idle", "30s"); got != 1 {
			t.Errorf("%v connections idle for 30s, want 1", got)
		}
	})
}

// TestFieldCase18Levels has the log levels follow who is responsible for a refusal, unless an option says otherwise.
func TestFieldCase18Levels(t *testing.T) {
	for status, want := range map[instrument.Status]string{
		instrument.StatusUnauthorized: "INFO", instrument.StatusForbidden: "INFO", instrument.StatusBadHandshake: "INFO",
		instrument.StatusRateLimited: "INFO", instrument.StatusDraining: "INFO",
		instrument.StatusOverCapacity: "WARN", instrument.StatusError: "WARN",
	} {
		var out bytes.Buffer
		o := newObserver(t, instrument.WithLogger(jsonLogger(&out)))
		_, h := o.BeginHandshake(t.Context(), instrument.Request{})
		h.Refused(status, 0, nil)
		if got := lines(t, &out)[0]; got["level"] != want || got["http_status"] != nil {
			t.Errorf("%v: record is %v, want the level %s and no HTTP status", status, got, want)
		}
	}
	var out bytes.Buffer
	o := newObserver(t, instrument.WithLogger(jsonLogger(&out)), instrument.WithLogLevel("connection opened", -8))
	open(t, o)
	if out.Len() != 0 {
		t.Errorf("record %s below the logger's level", &out)
	}
}

// TestSDKSamplerCounts has the tracer provider drop the spans of failed messages, which is counted.
func TestSDKSamplerCounts(t *testing.T) {
	s := recordSpans(sdktrace.WithSampler(sdktrace.NeverSample()))
	o := newObserver(t, s.option(), instrument.WithSampleRatio(0), instrument.WithSpanLimit(1_000))
	c := open(t, o)
	for range 10 {
		_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
		m.End(errors.New("failed"))
	}
	if got := value(t, o, "sockscope_spans_suppressed_total", "cause", "ratio"); got != 10 {
		t.Errorf("%v spans suppressed by ratio, want 10", got)
	}
}

// TestOptionsOfSpans looks at what the options and the request make of a handshake's span.
func TestOptionsOfSpans(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithProtocol("socketio"), instrument.WithMetricPrefix("chat_socketio"),
		instrument.WithPropagator(single{}), instrument.WithDurationBuckets(0.25, 1), instrument.WithSizeBuckets(1000))
	r, err := http.NewRequestWithContext(t.Context(), "BREW", "http://chat.example:8443/rooms/7?token=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Single", senderTraceID)
	_, h := o.BeginHandshake(t.Context(), instrument.HTTPRequest(r))
	c := h.Opened(101)
	c.Received(instrument.MessageType{}, 1)
	want := []span{{
		Name: "socketio.handshake", Kind: "server", Links: []string{"sender"},
		Attributes: map[string]any{
			"server.address": "chat.example", "server.port": int64(8443), "url.path": "/rooms/7", "http.request.method": "_OTHER",
			"network.protocol.name": "socketio", "socketio.namespace": "default", "connection.id": c.ID(),
			"http.response.status_code": int64(101),
		},
	}}
	got := s.ended(t)
	got[0].Took = 0
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	scope := s.Ended()[0].InstrumentationScope()
	if scope.Version == "" || !strings.HasPrefix(scope.SchemaURL, "https://opentelemetry.io/schemas/") {
		t.Errorf("scope is %+v, want a version and a schema", scope)
	}
	metrics := exposition(t, o)
	for _, line := range []string{
		`chat_socketio_messages_total{direction="receive",namespace="default",type="other"} 1`,
		`chat_socketio_message_size_bytes_bucket{direction="receive",namespace="default",le="1000.0"} 1`,
	} {
		if !strings.Contains(metrics, strings.ReplaceAll(line, "1000.0", "1000")) {
			t.Errorf("exposition lacks %s", line)
		}
	}
}

// single is a propagator with a format of its own.
type single struct{}

func (single) Inject(context.Context, propagation.TextMapCarrier) {}
func (single) Fields() []string                                   { return []string{"X-Single"} }
func (single) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	id, err := trace.TraceIDFromHex(c.Get("X-Single"))
	if err != nil {
		return ctx
	}
	span, err := trace.SpanIDFromHex(senderSpanID)
	if err != nil {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: span, Remote: true,
	}))
}

// TestWithoutTracing wants no span, and nothing counted as suppressed.
func TestWithoutTracing(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithoutTracing(), instrument.WithSampleRatio(1))
	c := open(t, o)
	err := c.Handle(t.Context(), instrument.MessageType{}, 1, sender("01"), func(context.Context) error { return io.EOF })
	if !errors.Is(err, io.EOF) {
		t.Errorf("Handle = %v, want EOF", err)
	}
	_, b := o.BeginBroadcast(t.Context())
	b.End(nil)
	_, refused := o.BeginHandshake(t.Context(), instrument.Request{})
	refused.Refused(instrument.StatusError, 500, nil)
	c.Closed(instrument.Cause{Reason: instrument.ReasonInternal})
	if n := len(s.Ended()); n != 0 {
		t.Errorf("%d spans, want none", n)
	}
	if got := sum(t, registryOf(t, o), "sockscope_spans_suppressed_total"); got != 0 {
		t.Errorf("%v spans suppressed, want 0", got)
	}
}
