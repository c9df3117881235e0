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
// The adapter follows the frames on the connection to find out who ended it and why. docs/ends.md lists all ends. These
// are particular to this library:
//
//   - A context whose deadline passes during [Conn.Read] is an idle timeout, local and idle_timeout. If an earlier
//     message was read with the same deadline, or the context is that of [Conn.CloseRead], it is the maximum lifetime of
//     the connection, local and normal. A context that is cancelled is a server that stops, local and shutdown.
//   - If a ping is not answered before its context's deadline, the next end that is not the peer's own is network and
//     ping_timeout. If a write's deadline passes, it is network and write_error.
//   - [Conn.CloseNow] alone means that the handler is done, local and normal.
//   - A message after [Conn.CloseRead] is local and policy.
//
// The application counts messages by [Conn.Observed], because only it knows their types. Or it calls
// [Conn.CountMessages], and the adapter counts them. The connection is counted as closed when reading fails or the
// application closes it. So read until reading fails, let [Conn.CloseRead] do it, or close the connection, as the
// library requires anyway. Observer.Drain closes the connection with the code 1001.
//
// Functions that take a *websocket.Conn, such as websocket.NetConn and package wsjson, get it by [Conn.Unwrap]. Their
// messages and pings are not counted. The adapter still finds out how the connection ends, and counts the end when
// [Conn.CloseNow] is called.
//
// A message costs a look at the header of each frame and two short locks. Nothing is allocated.
package coder
