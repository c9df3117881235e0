// Package coder observes the connections of a server that uses github.com/coder/websocket.
//
// [Accept] takes the place of websocket.Accept and returns a [Conn] with the methods that most servers need:
//
//	conn, err := coder.Accept(w, r, observer, nil)
//	if err != nil {
//		return // answered, counted and logged
//	}
//	defer conn.CloseNow()
//	connection := conn.Observed()
//	ctx := connection.Context(r.Context()) // once per connection
//	for {
//		typ, payload, err := conn.Read(ctx)
//		if err != nil {
//			return // counted and logged with its cause
//		}
//		err = connection.Handle(ctx, chat, len(payload), nil, func(ctx context.Context) error {
//			return answer(ctx, conn, typ, payload)
//		})
//	}
//
// The adapter follows the frames on the connection to find out who ended it and why. docs/ends.md lists all ends; what
// is particular to this library is this:
//
//   - A context whose deadline passes during [Conn.Read] is an idle timeout, local and idle_timeout. If an earlier
//     message was read with the same deadline, or the context is that of [Conn.CloseRead], it is the maximum lifetime of
//     the connection, local and normal. A context that is cancelled is a server that stops, local and shutdown.
//   - A ping that is not answered before its context's deadline is network and ping_timeout, at the next end that is not
//     the peer's own. A write whose deadline passes is network and write_error, likewise.
//   - [Conn.CloseNow] alone means that the handler has done what it was to do, local and normal.
//   - A message after [Conn.CloseRead] is local and policy.
//
// The application counts messages itself by [Conn.Observed], because only it knows their types, or has the adapter count
// them by [Conn.CountMessages]. It must read until reading fails, or have [Conn.CloseRead] do it, or close the connection,
// as the library requires anyway: that is when the connection is counted as closed. Observer.Drain closes it by the code
// 1001.
//
// What takes a *websocket.Conn, such as websocket.NetConn and package wsjson, gets it by [Conn.Unwrap]. Its messages and
// pings are not counted. How the connection ends is seen all the same, and counts when [Conn.CloseNow] is called.
//
// The price of a message is a look at the header of each frame and two short locks. It allocates nothing.
package coder
