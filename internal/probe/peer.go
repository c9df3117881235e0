package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// closeWait is how long the target has to answer the end of a connection.
const closeWait = time.Second

// peer is one connection to the target. Its reader goes on when a phase has given up waiting, to read how the target
// answers the end.
type peer struct {
	conn   transport.Conn
	frames chan frame // closed when the connection has ended
	err    error      // how it has; may be read then

	closing chan struct{} // closed when nobody wants frames any more
}

// frame is a frame of the target.
type frame struct {
	wire.Envelope
	asked, came time.Time // asked is zero if it is no answer
	bad         error     // why it can't be read
}

func (f frame) took() time.Duration { return f.came.Sub(f.asked) }

// traceID returns the trace that the target has recorded, if it says so.
func (f frame) traceID() string {
	ctx := propagation.TraceContext{}.Extract(context.Background(), &f.Envelope)
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// dial connects and waits for the welcome.
func (p *Prober) dial(ctx context.Context, over transport.Name, t Target, token string) (*peer, error) {
	conn, err := p.dialer.Dial(ctx, over, transport.Options{Server: t.Server, Authorization: "Bearer " + token})
	if err != nil {
		return nil, because(ctx, err)
	}
	to := &peer{conn: conn, frames: make(chan frame), closing: make(chan struct{})}
	go to.read()
	if _, err := to.await(ctx, func(f frame) bool { return f.Type == wire.TypeWelcome }); err != nil {
		closeAll(to)
		return nil, fmt.Errorf("no welcome: %w", err)
	}
	return to, nil
}

func (p *peer) read() {
	defer close(p.frames)
	for {
		if err := p.conn.Receive(p.take); err != nil {
			p.err = fmt.Errorf("the connection has ended: %w", err)
			return
		}
	}
}

// take hands over what has come, if anybody wants it.
func (p *peer) take(data []byte) {
	f := frame{came: time.Now()}
	var err error
	if f.Envelope, err = p.conn.Decode(data); err != nil {
		f.bad = fmt.Errorf("the server sent something that can't be read: %w", err)
	}
	select {
	case p.frames <- f:
	case <-p.closing:
	}
}

// await returns the next wanted frame. It also returns errors that the server sends.
func (p *peer) await(ctx context.Context, wanted func(frame) bool) (frame, error) {
	for {
		select {
		case f, ok := <-p.frames:
			switch {
			case !ok:
				return frame{}, p.err
			case f.bad != nil:
				return frame{}, f.bad
			case wanted(f):
				return f, nil
			case f.Type == wire.TypeError:
				var refusal wire.ErrorPayload
				_ = json.Unmarshal(f.Payload, &refusal) // without a code it is one, too
				return f, fmt.Errorf("the server refused: %s: %s", refusal.Code, refusal.Reason)
			}
		case <-ctx.Done():
			return frame{}, context.Cause(ctx)
		}
	}
}

// ask sends a request and waits for its answer, which has the same id: a pong or an ack.
func (p *peer) ask(ctx context.Context, typ wire.Type, payload any) (frame, error) {
	env, err := wire.New(typ, "", payload)
	if err != nil {
		return frame{}, err
	}
	asked := time.Now()
	defer context.AfterFunc(ctx, p.conn.Cut)()
	if err := p.conn.Send(&env); err != nil {
		return frame{}, because(ctx, err)
	}
	answer, err := p.await(ctx, func(f frame) bool {
		return f.MessageID == env.MessageID && (f.Type == wire.TypePong || f.Type == wire.TypeAck)
	})
	answer.asked = asked
	return answer, err
}

// closeAll closes the connections, in order if the target still answers, and returns when nothing of them is left. It
// ignores nil.
func closeAll(peers ...*peer) {
	var closing sync.WaitGroup
	for _, p := range peers {
		if p != nil {
			closing.Go(p.close)
		}
	}
	closing.Wait()
}

func (p *peer) close() {
	close(p.closing)
	defer time.AfterFunc(closeWait, p.conn.Cut).Stop()
	p.conn.Close()
	for range p.frames {
	} // the reader ends
}
