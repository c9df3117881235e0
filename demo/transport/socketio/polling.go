package socketio

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sockscope/sockscope/demo/reply"
	"github.com/sockscope/sockscope/demo/transport/socketio/packet"
	"github.com/sockscope/sockscope/instrument"
)

// errOverlap is that of a client which does twice at once what it may do once.
var errOverlap = errors.New("socketio: two polls, or two posts, of one client at once")

// poll answers with what waits for the client, or as soon as something does.
func (c *client) poll(w http.ResponseWriter, r *http.Request) {
	units, ok := c.fetch(r)
	if !ok {
		c.fail(instrument.ReasonProtocolError, errOverlap)
		errRequest.answer(w)
		return
	}
	cause, closing := c.closing()
	// The original client forgets messages that come together with the end. So the next poll is told of it.
	last := closing && len(units) == 0
	switch {
	case last:
		units = []unit{{data: []byte{packet.EngineClose}}}
	case r.Context().Err() != nil: // the client has gone away, or takes no answer any more
		c.end(broken(r.Context().Err()))
		return
	case len(units) == 0:
		units = []unit{{data: []byte{packet.EngineNoop}}}
	}
	// A client that does not read must not keep its place. A writer without deadlines keeps its own time.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(c.handler.cfg.WriteTimeout))
	err := answer(w, units)
	if err == nil {
		err = control.Flush()
	}
	switch {
	case last:
		c.end(cause)
	case err != nil && !errors.Is(err, http.ErrNotSupported):
		c.writeFailed(err) // what was in the answer is lost: the client comes back and says what it has got
	}
}

// fetch returns what is for a poll. It reports false if there is another one. That is over before it is answered,
// because a client may poll again before this handler knows that it has the answer.
func (c *client) fetch(r *http.Request) ([]unit, bool) {
	if !c.polls.TryLock() {
		return nil, false
	}
	defer c.polls.Unlock()
	return c.mailbox.await(r.Context(), c.gone), true
}

// answer answers a poll.
func answer(w http.ResponseWriter, units []unit) error {
	body := appendPayload(nil, units)
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// post takes what the client sends.
func (c *client) post(w http.ResponseWriter, r *http.Request) {
	if !c.posts.TryLock() {
		c.fail(instrument.ReasonProtocolError, errOverlap)
		errRequest.answer(w)
		return
	}
	defer c.posts.Unlock()
	if c.upgraded() {
		errRequest.answer(w)
		return
	}
	// A writer without deadlines keeps its own time.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(c.handler.cfg.WriteTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		c.fail(instrument.ReasonMessageTooBig, errTooBig)
		reply.Text(w, http.StatusRequestEntityTooLarge, "a post may have "+strconv.Itoa(MaxPayload)+" bytes")
		return
	case err != nil:
		c.end(broken(err))
		return
	}
	units, err := parsePayload(body)
	if err != nil {
		c.fail(instrument.ReasonProtocolError, err)
	}
	for _, u := range units {
		if !c.take(u) {
			err = errGone
			break
		}
	}
	if err != nil {
		errRequest.answer(w)
		return
	}
	w.Header().Set("Content-Type", "text/html") // as the original server does
	_, _ = io.WriteString(w, "ok")              // an error means that the client is gone
}
