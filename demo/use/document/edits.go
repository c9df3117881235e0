package document

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// mostAttempts is how often an edit is saved that is void because another node has saved the text meanwhile.
	mostAttempts = 4
	// textEvery is after how many messages of the history the text is saved among them.
	textEvery = 100
)

// submit saves an edit, and returns the change that it has become. An edit that was saved before is not saved again.
// The order is locked.
func (d *document) submit(ctx context.Context, user, id string, p wire.DocumentEditPayload) (*change, error) {
	if p.Version > d.version { // which the client has from another node
		if err := d.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	for attempt := range mostAttempts {
		if c := d.applied(user, id); c != nil {
			return c, nil
		}
		e, err := d.rebase(p.Version, p.Operations)
		if err == nil {
			_, err = d.after(e)
		}
		if err != nil {
			return nil, err
		}
		if err := d.save(ctx, user, attemptID(id, attempt), entry{Version: d.version, Operations: e.operations()}); err != nil {
			return nil, err
		}
	}
	if c := d.applied(user, id); c != nil {
		return c, nil
	}
	return nil, &wire.RefusalError{Code: wire.CodeUnavailable, Reason: "too many edits at the same time: send again with the same messageId"}
}

// attemptID returns the id by which the history knows an attempt to save an edit.
func attemptID(id string, attempt int) string {
	if attempt == 0 {
		return id
	}
	return id + againMark + strconv.Itoa(attempt)
}

// save appends to the history, reads it up to there, and tells the other nodes. The order is locked.
func (d *document) save(ctx context.Context, user, id string, e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an edit: %w", err)
	}
	m := history.Message{Room: d.room, ID: id, From: user, Text: string(data)}
	var carrier wire.Envelope
	propagation.TraceContext{}.Inject(ctx, &carrier)
	m.Traceparent, m.Tracestate = carrier.Traceparent, carrier.Tracestate
	saved, again, err := d.all.cfg.History.Append(ctx, m)
	switch {
	case err != nil:
		return unavailable(err)
	case again && saved.Seq <= d.first: // whether it was void is not known any more
		return outdatedError{}
	}
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	return unavailable(d.all.cfg.Cluster.Deliver(ctx, saved))
}

// saveText saves the text among the edits, if it is time to. That it fails is no error of an edit's, and the next edit
// tries again. The order is locked.
func (d *document) saveText(ctx context.Context) {
	if d.version < d.floor+textEvery {
		return
	}
	text := d.String()
	err := d.save(ctx, keeper, fmt.Sprint("text ", d.version), entry{Version: d.version, Text: &text})
	if err != nil {
		d.all.cfg.Logger.WarnContext(ctx, "text of a document not saved", "error", err)
	}
}

// isOutdated reports whether an edit is refused because its version is not kept.
func isOutdated(err error) bool {
	var outdated outdatedError
	return errors.As(err, &outdated)
}
