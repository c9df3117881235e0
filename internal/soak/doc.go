// Package soak runs three instances of the demo with Redis for half an hour, under mixed load. Meanwhile it switches on
// one fault after another, and kills and restarts Redis and an instance. At the end it proves that every acknowledged
// message is in the history exactly once. Likewise it runs clients of all transports in one room for ten minutes. The
// tests have the build tag soak:
//
//	make soak          # or SOAK=5m make soak
package soak
