package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

const (
	// verifiers is how many connections read histories at once.
	verifiers = 8
	// verifyPatience bounds the wait for one answer.
	verifyPatience = 20 * time.Second
	// verifyPace is the time between two requests of a connection, and slowDown that after one that came too soon.
	verifyPace = 25 * time.Millisecond
	slowDown   = time.Second
	// verifyAttempts is how often a request is made that the server can't answer now.
	verifyAttempts = 5
)

// History is what the histories of the rooms say of what was acknowledged.
type History struct {
	Kept    int64 `json:"kept"`    // acknowledged and there
	Lost    int64 `json:"lost"`    // acknowledged and not there
	Twice   int64 `json:"twice"`   // there more than once, or under another number than was acknowledged
	Trimmed int64 `json:"trimmed"` // acknowledged, but so long ago that its room no longer keeps it
	Unread  int64 `json:"unread"`  // acknowledged in a room whose history could not be read
	Unacked int64 `json:"unacked"` // there, though not acknowledged
}

// kept is what the history of a room has.
type kept struct {
	from uint64 // the first sequence number
	read bool
}

// verify reads the histories of all rooms and compares them with what was acknowledged.
func (r *run) verify(ctx context.Context) (*History, error) {
	var h History
	rooms := make(chan *room, len(r.rooms))
	for _, room := range r.rooms {
		rooms <- room
	}
	close(rooms)
	found := make([]History, verifiers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range verifiers {
		group.Go(func() error { return r.verifyRooms(ctx, i, rooms, &found[i]) })
	}
	err := group.Wait()
	for _, f := range found {
		h.Twice += f.Twice
		h.Unacked += f.Unacked
	}
	for _, g := range r.groups {
		for n := range g.fates {
			g.judge(n, &h)
		}
	}
	return &h, err
}

// judge says what has become of a message that was acknowledged.
func (g *group) judge(n int, h *History) {
	fate, room := g.fates[n].Load(), g.sender(n).room
	switch {
	case fate&fateAcked == 0:
	case !room.kept.read:
		h.Unread++
	case fate&fateKept != 0:
		h.Kept++
	case fate&fateSequence < room.kept.from:
		h.Trimmed++
	default:
		h.Lost++
	}
}

func (r *run) verifyRooms(ctx context.Context, number int, rooms <-chan *room, found *History) error {
	for room := range rooms {
		v, err := r.newVerifier(ctx, number)
		if err != nil {
			return fmt.Errorf("read the histories: %w", err)
		}
		for ; room != nil; room = <-rooms {
			if err := v.verify(ctx, room, found); err != nil {
				v.close()
				return fmt.Errorf("read the history of room %s: %w", room.name, err)
			}
		}
		v.close()
	}
	return nil
}

// verifier reads histories through a connection of its own.
type verifier struct {
	run  *run
	conn transport.Conn
	stop func() bool
}

func (r *run) newVerifier(ctx context.Context, number int) (*verifier, error) {
	authorization, err := r.tokens.authorization(ctx, number)
	if err != nil {
		return nil, err
	}
	conn, err := r.dialer.dial(ctx, transport.WebSocket, number, 0, 0, authorization)
	if err != nil {
		return nil, err
	}
	return &verifier{run: r, conn: conn, stop: context.AfterFunc(ctx, conn.Cut)}, nil
}

func (v *verifier) close() {
	v.stop()
	v.conn.Cut()
}

// verify reads the history of one room, page by page.
func (v *verifier) verify(ctx context.Context, room *room, found *History) error {
	if _, err := v.ask(ctx, wire.TypeJoin, wire.JoinPayload{Room: room.name}); err != nil {
		return err
	}
	for after, more := uint64(0), true; more; {
		page, err := v.ask(ctx, wire.TypeHistory, wire.HistoryRequest{Room: room.name, After: &after})
		if err != nil {
			return err
		}
		for _, m := range page.Messages {
			if room.kept.from == 0 {
				room.kept.from = m.Seq
			}
			after = m.Seq
			v.run.keep(m, room, found)
		}
		more = page.More && len(page.Messages) > 0
	}
	room.kept.read = true
	_, err := v.ask(ctx, wire.TypeLeave, wire.RoomPayload{Room: room.name})
	return err
}

// keep notes that a message is in the history.
func (r *run) keep(m wire.HistoryMessage, room *room, found *History) {
	index, n, ours := r.ids.find(m.MessageID)
	if !ours || index >= len(r.groups) || n >= len(r.groups[index].fates) || r.groups[index].sender(n).room != room {
		r.tally.note(&r.tally.strange, "message of another room or nobody in the history")
		return
	}
	fate := &r.groups[index].fates[n]
	if !fate.numbered(m.Seq) || fate.Or(fateKept)&fateKept != 0 {
		found.Twice++
	}
	if fate.Load()&fateAcked == 0 {
		found.Unacked++
	}
}

// ask makes a request until it is answered, and returns the history that came with the answer.
func (v *verifier) ask(ctx context.Context, typ wire.Type, payload any) (page wire.HistoryPayload, err error) {
	var refused wire.Code
	for attempt := range verifyAttempts {
		wait := verifyPace
		if attempt > 0 {
			wait = slowDown
		}
		if !sleepUntil(ctx, time.Now().Add(wait)) {
			return page, context.Cause(ctx)
		}
		page, refused, err = v.askOnce(typ, payload)
		if err != nil || refused == "" {
			return page, err
		}
		if refused != wire.CodeRateLimited && refused != wire.CodeUnavailable {
			break
		}
	}
	return page, fmt.Errorf("%s was refused: %s", typ, refused)
}

func (v *verifier) askOnce(typ wire.Type, payload any) (page wire.HistoryPayload, refused wire.Code, err error) {
	env, err := wire.New(typ, "", payload)
	if err != nil {
		return page, "", err
	}
	defer time.AfterFunc(verifyPatience, v.conn.Cut).Stop()
	if err := v.conn.Send(&env); err != nil {
		return page, "", err
	}
	for {
		var came wire.Envelope
		var unread error
		err := v.conn.Receive(func(data []byte) { came, unread = v.conn.Decode(data) })
		if err = errors.Join(err, unread); err != nil {
			return page, "", err
		}
		if came.MessageID != env.MessageID {
			continue
		}
		var a answer
		switch came.Type {
		case wire.TypeHistory:
			err = json.Unmarshal(came.Payload, &page)
		case wire.TypeAck, wire.TypeError:
			if err := json.Unmarshal(came.Payload, &a); err != nil || a.Success {
				return page, "", err
			}
			return page, a.refusal().Code, nil
		}
		if err != nil {
			return page, "", err
		}
	}
}
