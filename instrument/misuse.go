package instrument

import (
	"log/slog"
	"sync/atomic"
)

// A misuse is a mistake in how the instrumented program uses this package. It never makes an event count twice. Each
// kind is logged once.
type misuse uint8

const (
	misuseMessageEndedTwice misuse = iota
	misuseNegativeSize
	misuseHiddenDeadlines
	misuseRefusedConnected
	misuseOtherProtocol
	misuseCount // of misuses
)

func (m misuse) String() string {
	switch m {
	case misuseMessageEndedTwice:
		return "Message.End was called twice for one message; only the first call counts"
	case misuseNegativeSize:
		return "the size of a message was negative; it counts as 0"
	case misuseHiddenDeadlines:
		return "the server's WriteTimeout ends every stream, because a middleware hides the deadlines of its ResponseWriter; " +
			"give the middleware's ResponseWriter an Unwrap method"
	case misuseRefusedConnected:
		return "a handshake was refused with the status connected; it counts as other"
	case misuseOtherProtocol:
		return "an adapter was given an Observer for another adapter's protocol, so names of metrics and spans are wrong; " +
			"give each adapter an Observer of its own, made with instrument.WithProtocol unless it is for WebSockets"
	default:
		return "unknown"
	}
}

type misuses [misuseCount]atomic.Bool

// misused writes the log record `instrumentation misused` for the first misuse of its kind.
func (o *Observer) misused(m misuse) {
	if !o.misuses[m].Load() && !o.misuses[m].Swap(true) {
		o.records.write(o.root, recordMisuse, o.now(), slog.String("problem", m.String()))
	}
}

// DeadlinesHidden notes that the server's WriteTimeout is going to cut the connection, because a middleware hides the
// deadlines of the http.ResponseWriter. Adapters call it. The first call writes the log record `instrumentation
// misused`.
func (c *Conn) DeadlinesHidden() {
	if c.live() {
		c.observer.misused(misuseHiddenDeadlines)
	}
}
