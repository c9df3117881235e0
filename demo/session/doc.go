// Package session is who is connected, whatever their transport: what they may, how much of it, and which use their
// requests go to. A transport opens a session on a Link, hands it what the peer sends by Receive, and ends it:
//
//	s := sessions.Open(observer, conn, link)
//	s.Begin(who) // the zero Identity if no token has come yet
//	for … {
//		s.Receive(ctx, data, wire.Decode)
//	}
//	s.End(ctx)
package session
