// Package conformance has every adapter end its connections in every way, and compares all that they export. Its test
// renders the table in docs/ends.md; run it with -update after a change.
package conformance
