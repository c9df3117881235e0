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
// Some of a service's work is done after its peers have got what a test waits for. So [Recorder.Expect],
// [Recorder.ExpectOnly] and [Recorder.Record] wait until what they want is there, for at most ten seconds. Expect looks
// at the series that it is told; ExpectOnly also wants no other to have moved by then, which finds what is counted twice
// or by mistake. [Metrics] reads any other collector of the project in the same notation, such as a client of
// [github.com/sockscope/sockscope/instrument/client].
//
// The fake clock is Go's own: in the bubble of [testing/synctest] the observer follows its clock, so that durations are
// exact and minutes of silence pass at once.
package realtimetest
