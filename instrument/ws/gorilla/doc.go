// Package gorilla observes the connections of a server that uses github.com/gorilla/websocket.
//
// [Upgrade] takes the place of Upgrader.Upgrade and returns a [Conn], which takes the place of *websocket.Conn and has
// all of its methods:
//
//	conn, err := gorilla.Upgrade(w, r, observer, &upgrader, nil)
//	if err != nil {
//		return // answered, counted and logged
//	}
//	defer conn.Close()
//	connection := conn.Observed()
//	ctx := connection.Context(r.Context()) // once per connection
//	for {
//		kind, payload, err := conn.ReadMessage()
//		if err != nil {
//			return // counted and logged with its cause
//		}
//		err = connection.Handle(ctx, chat, len(payload), nil, func(ctx context.Context) error {
//			return answer(ctx, conn, kind, payload)
//		})
//	}
//
// The adapter follows the frames on the connection to find out who ended it and why. docs/ends.md lists all ends. These
// are particular to this library:
//
//   - A read deadline that passes is network and ping_timeout if a ping is unanswered. Otherwise it is local and
//     idle_timeout, or local and normal if messages or pongs have arrived since it was set: then it is the maximum
//     lifetime of the connection. A deadline in the past only wakes up a read.
//   - [Conn.Close] sends no close frame. Alone it means that the handler is done, local and normal. [Conn.CloseFor]
//     sends one, and gives the reason.
//
// Pings are counted, and timed until the pong with the same payload is read, whatever method writes them.
//
// The application counts messages by [Conn.Observed], because only it knows their types. Or it calls
// [Conn.CountMessages], and the adapter counts them. The connection is counted as closed when reading fails or the
// application closes it. So read until reading fails, or close the connection, as the library requires anyway.
// Observer.Drain closes the connection with the code 1001.
//
// A message costs a look at the header of each frame and a short lock. Nothing is allocated. A message that does not
// fit into the library's write buffer, which has 4096 bytes by default, takes a second system call.
package gorilla
