package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// closeWait is how long the target has to answer a close frame.
	closeWait = time.Second
	// readLimit is the size of the largest frame that is read.
	readLimit = 256 << 10
	// told is the number of bytes of a refusal's text that are repeated.
	told = 200
)

// peer is one connection to the target. Its reader goes on when a phase has given up waiting, because ending a read
// breaks the connection, and a close frame has to be read.
type peer struct {
	conn   *websocket.Conn
	frames chan frame // closed when the connection has ended
	err    error      // how it has; may be read then

	closing chan struct{} // closed when nobody wants frames any more
	cut     context.CancelFunc
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
func dial(ctx context.Context, client *http.Client, address, token string) (*peer, error) {
	conn, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{ //nolint:bodyclose // Dial does
		HTTPClient: client,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return nil, refused(response, because(ctx, err))
	}
	conn.SetReadLimit(readLimit)
	reading, cut := context.WithCancel(context.WithoutCancel(ctx))
	p := &peer{conn: conn, frames: make(chan frame), closing: make(chan struct{}), cut: cut}
	go p.read(reading)
	if _, err := p.await(ctx, func(f frame) bool { return f.Type == wire.TypeWelcome }); err != nil {
		closeAll(p)
		return nil, fmt.Errorf("no welcome: %w", err)
	}
	return p, nil
}

// refused adds the server's text about a handshake that it did not accept.
func refused(response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return err
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, told)) // what there is will do
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(strings.ToValidUTF8(string(text), "")))
}

func (p *peer) read(ctx context.Context) {
	defer close(p.frames)
	for {
		_, data, err := p.conn.Read(ctx)
		if err != nil {
			p.err = ended(err)
			return
		}
		f := frame{came: time.Now()}
		if err := json.Unmarshal(data, &f.Envelope); err != nil {
			f.bad = fmt.Errorf("the server sent something that is no envelope: %w", err)
		}
		select {
		case p.frames <- f:
		case <-p.closing: // read on for the close frame
		}
	}
}

// ended says how a connection has ended.
func ended(err error) error {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return fmt.Errorf("the server closed the connection with %d %s", closed.Code, closed.Reason)
	}
	return fmt.Errorf("the connection broke: %w", err)
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
	f, err := env.Frame()
	if err != nil {
		return frame{}, err
	}
	asked := time.Now()
	if err := p.conn.Write(ctx, websocket.MessageText, f.Data); err != nil {
		return frame{}, because(ctx, err)
	}
	answer, err := p.await(ctx, func(f frame) bool {
		return f.MessageID == env.MessageID && (f.Type == wire.TypePong || f.Type == wire.TypeAck)
	})
	answer.asked = asked
	return answer, err
}

// closeAll closes the connections, with the close handshake if the target still answers, and returns when nothing of
// them is left. It ignores nil.
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
	timer := time.AfterFunc(closeWait, p.cut)
	defer timer.Stop()
	_ = p.conn.Close(websocket.StatusNormalClosure, "") // an error means that it has ended already
	p.cut()
	for range p.frames {
	} // the reader ends
}
