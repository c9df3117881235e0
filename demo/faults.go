package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// faults are the ways in which this server can be broken on request. Each is asked where it would strike in earnest;
// see strike for those that do something by themselves.
type faults struct {
	all []*fault.Switch

	// Who comes in.
	handshakeErrors, connectionLimit, refusedTokens, tokenExpiry *fault.Switch
	// What is handled.
	slowHandling, handlerPanics *fault.Switch
	// What is sent, and in which order.
	silence, droppedDeliveries, skippedSequence, repeatedSequence, reorderedSequence *fault.Switch
	// What lies between this server and its peers.
	halfOpen, slowConsumer, massDisconnect *fault.Switch
	// The store.
	hotRoom, storeErrors, slowStore *fault.Switch
	// The other nodes.
	backplaneDown, backplaneLag, backplanePartition *fault.Switch
	// What the process has.
	goroutineLeak, connectionMemory, logStorm *fault.Switch
	burdened                                  int // bytes of connectionMemory that are held; of the server's lock
	// The end.
	badDrain *fault.Switch

	// stranger has signed none of the tokens that there are.
	stranger      *auth.Authority
	rooms, topics disorder
	backplane     backplaneConns
}

// newFaults returns the faults, all of them off. Those of the backplane can't be turned on if there is a reason.
func newFaults(noBackplane string) (*faults, error) {
	key, err := auth.LoadKey("") // a random one
	if err != nil {
		return nil, err
	}
	stranger, err := auth.New(key)
	if err != nil {
		return nil, err
	}
	f := &faults{stranger: stranger}
	f.list()
	f.rooms, f.topics = disorder{faults: f}, disorder{faults: f}
	for _, s := range []*fault.Switch{f.backplaneDown, f.backplaneLag, f.backplanePartition} {
		s.Unavailable = noBackplane
	}
	return f, nil
}

// list makes the switches, in the order in which they are listed.
func (f *faults) list() {
	add := func(name, unit string, least, most float64, description string) *fault.Switch {
		s := &fault.Switch{Name: name, Unit: unit, Min: least, Max: most, Description: description}
		f.all = append(f.all, s)
		return s
	}
	share := func(name, description string) *fault.Switch { return add(name, "share", 0.01, 1, description) }
	on := func(name, description string) *fault.Switch { return add(name, "on", 1, 1, description) }

	f.handshakeErrors = share("handshake_errors", "that share of the handshakes is answered 500")
	f.connectionLimit = add("connection_limit", "connections", 1, 100_000,
		"no more connections than that may be open; those that are open stay")
	f.refusedTokens = share("refused_tokens", "that share of the tokens is refused, as if signed with another key")
	f.tokenExpiry = add("token_expiry", "s", 1, 1800,
		"all tokens that are held, or presented until then, expire so long after the fault has begun")

	f.slowHandling = add("slow_handling", "ms", 1, 10_000, "handling every message takes that much longer")
	f.handlerPanics = share("handler_panics", "the handler panics on that share of the messages")

	f.silence = on("silence", "connections stay open and pings are answered, but no message is sent")
	f.droppedDeliveries = share("dropped_deliveries",
		"that share of the messages, prices and notifications is dropped on its way to each recipient")
	f.skippedSequence = share("skipped_sequence",
		"that share of a room's messages, and of the market's batches, is delivered to nobody")
	f.repeatedSequence = share("repeated_sequence",
		"that share of a room's messages, and of the market's batches, is delivered twice")
	f.reorderedSequence = share("reordered_sequence",
		"that share of a room's messages, and of the market's batches, is delivered after the next one, or 1 s late")

	f.halfOpen = on("half_open", "nothing arrives from WebSocket peers, not even pongs, though they stay connected")
	f.slowConsumer = share("slow_consumer",
		"every write to that share of the WebSockets takes 1 s, as if their peers hardly read")
	f.massDisconnect = share("mass_disconnect",
		"that share of the connections breaks without a close frame, at once and every 5 s")

	f.hotRoom = add("hot_room", "messages/s", 1, 2000, "a user called fault says that much in the room lobby")
	f.storeErrors = share("store_errors", "that share of the attempts to save a message fails")
	f.slowStore = add("slow_store", "ms", 1, 10_000, "everything that is asked of the message store takes that much longer")

	f.backplaneDown = on("backplane_down", "connections to the other nodes break and new ones are refused")
	f.backplaneLag = add("backplane_lag", "ms", 1, 10_000, "what other nodes say is heard that much after it was said")
	f.backplanePartition = on("backplane_partition",
		"this node neither hears the others nor is heard, though its connections seem open")

	f.goroutineLeak = add("goroutine_leak", "goroutines/s", 1, 1000,
		"so many goroutines begin and never end, up to 50000")
	f.connectionMemory = add("connection_memory", "KiB", 1, 1024,
		"every connection holds that much memory, up to 1 GiB in all")
	f.logStorm = add("log_storm", "records/s", 1, 10_000, "the service logs so many warnings")

	f.badDrain = on("bad_drain", "a drain cuts connections off, without a word and with what waits for them")
}

// strike starts what a fault does by itself, which ends with ctx.
func (s *Server) strike(ctx context.Context, f *fault.Switch) error {
	var act func(ctx context.Context, strength float64)
	switch f {
	case s.faults.tokenExpiry:
		act = s.moveExpiry
	case s.faults.reorderedSequence:
		act = s.deliverLate
	case s.faults.massDisconnect:
		act = s.keepCutting
	case s.faults.hotRoom:
		act = s.flood
	case s.faults.backplaneDown:
		act = func(context.Context, float64) { s.faults.backplane.cut() }
	case s.faults.goroutineLeak:
		act = s.leak
	case s.faults.connectionMemory:
		act = s.burden
	case s.faults.logStorm:
		act = s.storm
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errors.New("the server is draining, which no fault may keep it from: try another")
	}
	if act != nil {
		s.running.Go(func() { act(ctx, f.Strength()) })
	}
	return nil
}

// heal turns all faults off but the one that a drain is to meet.
func (f *faults) heal() {
	for _, s := range f.all {
		if s != f.badDrain {
			s.TurnOff()
		}
	}
}

// refuse returns why a handshake is not let in that nothing is wrong with.
func (f *faults) refuse() *refusal {
	if !f.handshakeErrors.Hits() {
		return nil
	}
	return refuse(instrument.StatusError, http.StatusInternalServerError, "the server has failed: try again")
}

// limit returns how many connections there may be.
func (f *faults) limit(configured int) int {
	if n := int(f.connectionLimit.Strength()); n > 0 {
		return min(n, configured)
	}
	return configured
}

// authority returns who verifies the next token.
func (f *faults) authority(right *auth.Authority) *auth.Authority {
	if f.refusedTokens.Hits() {
		return f.stranger
	}
	return right
}

// expiry returns when a token that says so expires.
func (f *faults) expiry(of time.Time) time.Time {
	st := f.tokenExpiry.State()
	wall := st.Began.Add(time.Duration(st.Strength * float64(time.Second)))
	if st.On && wall.After(time.Now()) && wall.Before(of) {
		return wall
	}
	return of
}

// handling is what a message meets before it is handled.
func (f *faults) handling(ctx context.Context, typ wire.Type) {
	f.slowHandling.Hold(ctx, milliseconds(f.slowHandling))
	if f.handlerPanics.Hits() {
		panic(fmt.Sprintf("the fault %s: %s", f.handlerPanics.Name, typ)) //nolint:forbidigo // that is the fault
	}
}

// withholds reports whether a frame is not sent to one of its recipients.
func (f *faults) withholds(frame *wire.Frame) bool {
	switch frame.Type {
	case wire.TypeMessage, wire.TypeTicks, wire.TypeNotification:
		return f.silence.On() || f.droppedDeliveries.Hits()
	}
	return f.silence.On()
}

// lag is what something meets that another node has said at that time.
func (f *faults) lag(ctx context.Context, said time.Time) {
	if f.backplaneLag.On() {
		most := milliseconds(f.backplaneLag)
		f.backplaneLag.Hold(ctx, min(most, time.Until(said.Add(most))))
	}
}

func milliseconds(s *fault.Switch) time.Duration {
	return time.Duration(s.Strength() * float64(time.Millisecond))
}
