// Package gobwas observes the connections of a server that uses github.com/gobwas/ws.
//
// [UpgradeHTTP] and [Upgrade] replace the functions of ws and return a [Conn], a net.Conn that you use with ws, wsutil, a
// buffer or a poller as before:
//
//	conn, _, err := gobwas.UpgradeHTTP(r, w, ws.HTTPUpgrader{}, observer)
//	if err != nil {
//		return // answered, counted and logged
//	}
//	defer conn.Close()
//	connection := conn.Observed()
//	ctx := connection.Context(r.Context()) // once per connection
//	for {
//		payload, op, err := wsutil.ReadClientData(conn)
//		if err != nil {
//			return // counted and logged with its cause
//		}
//		err = connection.Handle(ctx, chat, len(payload), nil, func(ctx context.Context) error {
//			return answer(ctx, conn, op, payload)
//		})
//	}
//
// The adapter follows the frames in the bytes that pass through the Conn, without changing them, to find out who ended
// the connection and why. A header that is written by itself, as by ws.WriteFrame, is sent together with the first
// bytes behind it. That saves a system call and a packet for each message, which is more than the adapter costs.
//
// docs/ends.md lists all ends. These are particular to this library:
//
//   - A read deadline that passes before this side closes is network and ping_timeout if a ping is unanswered. Otherwise
//     it is local and idle_timeout, or local and normal if messages or pongs have arrived since it was set: then it is
//     the maximum lifetime of the connection. A deadline in the past only wakes up a read or gives up a write.
//   - A violation of the protocol is why the connection ends, also if the application does not check the headers that it
//     reads, unless it reads on. It has the code 1006 unless the application answers it by a close frame.
//   - [Conn.Close] sends no close frame. Alone it means that the handler has done what it was to do, local and normal.
//     [Conn.CloseFor] sends one, and says why.
//
// A connection counts as open until [Conn.Close]. Don't forget to call it, which holds without an observer, too.
// Observer.Drain closes the connection with the code 1001. Pings of the application are timed until their pongs are
// read.
//
// The application counts messages by [Conn.Observed], because only it knows their types. Or it calls
// [Conn.CountMessages], and the adapter counts them.
//
// It costs a look at the header of each frame and a lock around each write, but nothing for the bytes of messages.
// Frames that are written by net.Buffers take a system call for each buffer, as on every net.Conn outside of package
// net. A wsutil.Writer or a bufio.Writer gathers them.
package gobwas
