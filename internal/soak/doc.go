// Package soak runs three instances of the demo with Redis for half an hour, under mixed load, while one fault after the
// other is switched on, Redis and an instance are killed and come back, and proves in the end that every message that
// was acknowledged is in the history exactly once. It is a test with the build tag soak:
//
//	make soak          # or SOAK=5m make soak
package soak
