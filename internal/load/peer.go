package load

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sockscope/sockscope/internal/transport"
)

// firstAttempts is the number of attempts for a connection that was never open.
const firstAttempts = 3

// peer is one client, which is connected most of the time. While nothing comes, it is only a goroutine that reads.
type peer struct {
	group  *group
	number int   // among all peers
	room   *room // nil for none

	mu       sync.Mutex
	conn     transport.Conn // nil while away
	attempts int            // to connect
	ready    bool           // what is due may be written
	opened   bool           // has been ready before
	wished   bool           // this side ends the connection
	over     bool           // and does not come back
	vanished bool
	greeting *time.Timer // ends the wait for the answer that makes the peer ready; nil if there is none
	unheard  bool        // the wait has ended

	// outstanding are the numbers of due messages without an answer. The first written of them have been written to
	// this connection. One goroutine at a time writes them, if flushing.
	outstanding []int
	written     int
	flushing    bool

	seen     sequence // of the room
	lastTick uint64   // of the market, 0 if none has come on this connection
	ticked   bool     // one has come at some time

	// The room's messages while the peer was away come as history: after the first number, and up to the second, which
	// is 0 if there is nothing left to ask for.
	after, upTo uint64

	pause *backoff.ExponentialBackOff // before a refused request is repeated; nil if there is none
}

// open connects for the first time. If the server refuses, the run ends. After errors of the network there are a few
// more attempts.
func (p *peer) open(ctx context.Context) {
	p.group.run.running.Go(func() {
		var err error
		wait := newBackoff()
		for range firstAttempts {
			if err = p.connect(ctx); err == nil || ctx.Err() != nil {
				return
			}
			var refused *transport.RefusedError
			if errors.As(err, &refused) || !sleepUntil(ctx, time.Now().Add(wait.NextBackOff())) {
				break
			}
		}
		p.group.run.hopeless(p, err)
	})
}

// comeBack tries to connect until it succeeds or the run is over. It begins at once, or after a wait.
func (p *peer) comeBack(atOnce bool) {
	r := p.group.run
	r.running.Go(func() {
		wait := newBackoff()
		for {
			if !atOnce && !sleepUntil(r.live, time.Now().Add(wait.NextBackOff())) {
				return
			}
			atOnce = false
			err := p.connect(r.live)
			if err == nil || r.live.Err() != nil {
				return
			}
			r.tally.note(&r.tally.failed, failure(err))
			if needsToken(err) {
				r.tokens.forget(p.number)
			}
		}
	})
}

// newBackoff returns waits that are shorter than the patience at the end of the run, which would otherwise give up
// peers that are about to try again.
func newBackoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, MaxInterval: patience / 2, Multiplier: 2, RandomizationFactor: 0.5,
	}
}

// connect opens a connection and starts a goroutine that reads, whose stack stays small.
func (p *peer) connect(ctx context.Context) error {
	r := p.group.run
	authorization, err := r.tokens.authorization(ctx, p.number)
	if err != nil {
		return err
	}
	p.mu.Lock()
	attempt := p.attempts
	p.attempts++
	p.mu.Unlock()
	began := time.Now()
	conn, err := r.dialer.dial(ctx, p.group.Transport, p.number, attempt, p.group.readRate(), authorization)
	if err != nil {
		return err
	}
	r.tally.connect.record(time.Since(began))
	r.tally.connected.Add(1)
	r.tally.open.Add(1)
	p.mu.Lock()
	over := p.over
	p.conn = conn
	p.awaitGreeting(0)
	p.mu.Unlock()
	if over {
		conn.Cut() // the reader notices the end
	}
	r.running.Go(func() { p.read(conn) })
	return nil
}

// awaitGreeting bounds the wait for the answer that lets a peer begin again, after a pause. Otherwise a silent server
// would keep the peer out forever. A slow reader may take all the time it needs. The peer is locked.
func (p *peer) awaitGreeting(pause time.Duration) {
	if !p.opened || p.ready || p.over || p.conn == nil || p.group.lenient() {
		return
	}
	p.stopWaiting()
	conn := p.conn
	p.greeting = time.AfterFunc(pause+2*p.group.run.cfg.patience, func() { p.giveUp(conn) })
}

// stopWaiting ends the wait for a greeting. The peer is locked.
func (p *peer) stopWaiting() {
	if p.greeting != nil {
		p.greeting.Stop()
		p.greeting = nil
	}
}

// giveUp ends a connection on which no greeting comes.
func (p *peer) giveUp(conn transport.Conn) {
	p.mu.Lock()
	p.unheard = p.conn == conn && !p.ready
	unheard := p.unheard
	p.mu.Unlock()
	if unheard {
		conn.Cut()
	}
}

// read takes what comes until the connection ends.
func (p *peer) read(conn transport.Conn) {
	decode := conn.Decode
	take := func(data []byte) { p.receive(data, decode, time.Now()) }
	for {
		if err := conn.Receive(take); err != nil {
			p.ended(conn, err)
			return
		}
	}
}

// becomeReady begins to write due messages.
func (p *peer) becomeReady() {
	p.mu.Lock()
	first := !p.opened
	p.stopWaiting()
	p.ready, p.opened, p.pause = true, true, nil
	p.mu.Unlock()
	p.flush()
	if r := p.group.run; first && r.waiting.Add(-1) == 0 {
		close(r.ready)
	}
}

// put takes over a message that is due.
func (p *peer) put(n int) {
	p.mu.Lock()
	p.outstanding = append(p.outstanding, n)
	p.mu.Unlock()
	p.flush()
}

// flush begins to write outstanding messages, unless that is going on already or has to wait.
func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flushing || !p.ready || p.written >= len(p.outstanding) {
		return
	}
	p.flushing = true
	p.group.run.running.Go(func() {
		for conn, n := p.next(); conn != nil; conn, n = p.next() {
			p.send(conn, n)
		}
	})
}

// next returns the connection and the number of the next message to write, if there is one.
func (p *peer) next() (transport.Conn, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ready || p.written >= len(p.outstanding) {
		p.flushing = false
		return nil, 0
	}
	n := p.outstanding[p.written]
	p.written++
	if p.group.provocation(n).ends() {
		p.ready = false // the rest is for the next connection
	}
	return p.conn, n
}

// answered removes message n from the outstanding ones, and reports whether it was outstanding.
func (p *peer) answered(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.outstanding {
		if o != n {
			continue
		}
		p.outstanding = append(p.outstanding[:i], p.outstanding[i+1:]...)
		if i < p.written {
			p.written--
		}
		p.group.run.tally.unanswered.Add(-1)
		return true
	}
	return false
}

// ended is called when a connection has ended, whatever the reason.
func (p *peer) ended(conn transport.Conn, err error) {
	r := p.group.run
	p.mu.Lock()
	wished, over, vanished, unheard := p.wished, p.over, p.vanished, p.unheard
	p.wished, p.ready, p.unheard = false, false, false
	p.stopWaiting()
	written := p.written
	p.written, p.lastTick, p.pause = 0, 0, nil
	if !vanished {
		p.conn = nil
	}
	opened := p.opened
	p.mu.Unlock()
	if vanished {
		return // the connection itself is still there
	}
	conn.Cut()
	r.tally.open.Add(-1)
	switch {
	case over:
	case !opened:
		r.hopeless(p, err)
	case wished || p.rebuffed(written, err):
		p.comeBack(true)
	case p.group.lenient():
		r.tally.expect("slow reader "+endReason(err), 1)
		p.comeBack(false)
	case unheard:
		r.tally.note(&r.tally.failed, "no answer to joining in time")
		p.comeBack(false)
	default:
		if needsToken(err) {
			r.tokens.forget(p.number)
		}
		r.tally.note(&p.group.share.ended, "connection "+endReason(err))
		p.comeBack(false)
	}
}

// needsToken reports whether a connection may have ended because its token has.
func needsToken(err error) bool {
	var end *transport.EndError
	var refused *transport.RefusedError
	return errors.As(err, &end) && end.Expired || errors.As(err, &refused) && refused.Status == http.StatusUnauthorized
}

// leave ends the connection in order. The peer comes back if the run is not over.
func (p *peer) leave() {
	p.mu.Lock()
	conn := p.conn
	if conn == nil || !p.ready && !p.over {
		p.mu.Unlock()
		return
	}
	p.wished, p.ready = true, false
	p.mu.Unlock()
	conn.Close()
}

// cut ends the connection without a word.
func (p *peer) cut() {
	p.mu.Lock()
	conn, cuts := p.conn, p.conn != nil && p.ready
	if cuts {
		p.wished, p.ready = true, false
	}
	p.mu.Unlock()
	if cuts {
		conn.Cut()
	}
}

// vanish stops reading and answering, and leaves the connection open.
func (p *peer) vanish() {
	p.mu.Lock()
	conn, vanishes := p.conn, p.conn != nil && p.ready
	if vanishes {
		p.vanished, p.over, p.ready = true, true, false
	}
	p.mu.Unlock()
	if vanishes {
		conn.Vanish() // which ends the reader
	}
}

// close ends the connection for good.
func (p *peer) close() {
	p.mu.Lock()
	p.over = true
	conn, vanished := p.conn, p.vanished
	p.stopWaiting()
	p.mu.Unlock()
	switch {
	case conn == nil:
	case p.group.Read > 0: // what is left to be read would take too long
		conn.Cut()
	case !vanished:
		p.leave()
	default:
		what := "vanished, not noticed by the server until the end"
		if conn.Noticed() {
			what = "vanished, noticed by the server"
		}
		p.group.run.tally.open.Add(-1)
		p.group.run.tally.expect(what, 1)
	}
}
