// Package game is players who move in one arena and see each other move.
//
// The server is right about where players are. A client sends only where its player goes, and gets the state of all
// players at each tick: a list of differences to the newest state that it has acknowledged, or the whole where it has
// acknowledged none, or none for long. So every state can be understood without those that were sent in between, and a
// state that waits for a client that can't keep up is replaced by the newer one. A client that acknowledges nothing for
// a second gets one state a second until it does, so that no more are on their way than it can read.
//
// Each node has an arena of its own, because a tick has no time to ask other nodes: players see those who are connected
// to the same node.
package game
