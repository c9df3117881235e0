// Package presence knows who is in which room on all nodes of a service, and heals after a node has died.
//
// Each node tells the others who enters and leaves on it, in updates that are numbered: the number is the node's
// revision, and the revision stands for who is there. A node that misses an update sees it by the next number, at the
// latest by that in the next heartbeat, and asks for a snapshot. A node that isn't heard of for a while is given up,
// with everybody on it; if it was only cut off, it is found again in the same way. So messages may be lost, repeated
// and reordered.
//
// The package has no transport. Its messages go out by Config.Publish, to all nodes, and come in by Receive:
//
//	p, err := presence.New(presence.Config{Publish: publish, Changed: changed})
//	go p.Run(ctx)
//	subscribe(func(data []byte) { err := p.Receive(data) })
//
// A message is a JSON object of at most 64 KiB, whatever the number of users.
package presence
