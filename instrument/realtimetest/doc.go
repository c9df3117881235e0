// Package realtimetest records what an observer exports, for services that want to test their own instrumentation.
//
//	r := realtimetest.New(t, instrument.WithMessageTypes("join"))
//	server := httptest.NewServer(chat.Handler(r.Observer))
//	…
//	r.Expect(map[string]float64{
//		`websocket_connections_total{status="connected"}`: 1,
//		`websocket_active_connections{}`:                  1,
//	})
//	if closed := r.Record("connection closed"); closed["reason"] != "token_expired" {
//		t.Errorf("closed by %v", closed)
//	}
//
// A service does some of its work after its peers have received what a test waits for. So [Recorder.Expect],
// [Recorder.ExpectOnly] and [Recorder.Record] wait for the expected values, for at most ten seconds. Expect looks only at
// the given series. ExpectOnly also fails if another series has moved, which finds events that are counted twice or by
// mistake. [Metrics] reads any other collector of the project in the same notation, such as a client of
// [github.com/sockscope/sockscope/instrument/client].
//
// To use a fake clock, run the test in a bubble of [testing/synctest]. The observer follows the bubble's clock, so
// durations are exact and minutes of silence pass at once.
package realtimetest
