// Package document is texts that several people edit at the same time.
//
// An edit says what to retain, insert and delete of the text at a version that its author has seen. The node transforms
// it against the edits that have come since, which is operational transformation with a server that decides the order:
// the algorithm of Jupiter (Nichols, Curtis, Dixon and Lamping, "High-latency, low-bandwidth windowing in the Jupiter
// collaboration system", 1995) for edits that run through the whole text, as in Google Wave (Wang, Mah and Lassen,
// "Google Wave Operational Transformation", 2010). Of two insertions at one place, the one that is first in order is
// first in the text. Lengths are in UTF-16 code units, because those are what strings of JavaScript count.
//
// The order is that of the history. A document is a room there, whose messages are its edits, and whose sequence
// numbers are its versions, on whichever nodes its editors are. Every node reads the same edits in the same order and
// comes to the same text; what nodes tell each other is only that there is something to read. An edit that is saved has
// the version that its node knew; other nodes may have saved some in between, against which all transform it alike.
//
// Now and then the text is saved among the edits, so that nobody has to read all of them. From there on edits have to
// be based on it: one that a node has saved meanwhile and that is not, is void on all nodes, and its node saves it
// again.
package document
