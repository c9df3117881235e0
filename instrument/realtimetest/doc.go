// Package realtimetest records what an observer exports, for services that want to test their own instrumentation.
//
//	r := realtimetest.New(t, instrument.WithMessageTypes("join"))
//	server := httptest.NewServer(chat.Handler(r.Observer))
//	…
//	r.Expect(map[string]float64{
//		`websocket_connections_total{status="connected"}`: 1,
//		`websocket_active_connections{}`:                  1,
//	})
//
// The fake clock is Go's own: in the bubble of [testing/synctest] the observer follows its clock, so that durations are
// exact and minutes of silence pass at once.
package realtimetest
