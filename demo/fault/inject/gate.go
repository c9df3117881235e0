package inject

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/instrument"
)

// Gate decorates who comes in: handshake_errors, connection_limit. Open returns how many have.
func (f *Faults) Gate(g admission.Gate, open func() int) admission.Gate {
	return &faultyGate{Gate: g, faults: f, open: open}
}

type faultyGate struct {
	admission.Gate
	faults *Faults
	open   func() int

	entering sync.Mutex // held while connection_limit is on, so that those who are refused don't count
}

// Enter implements admission.Gate.
func (g *faultyGate) Enter(ctx context.Context, r *http.Request) (func(), auth.Identity, *admission.Refusal) {
	limit := int(g.faults.connectionLimit.Strength())
	if limit > 0 {
		g.entering.Lock()
		defer g.entering.Unlock()
	}
	release, who, refused := g.Gate.Enter(ctx, r)
	var fails *admission.Refusal
	switch {
	case refused != nil && refused.Status == instrument.StatusForbidden: // no fault opens the server to other pages
	case g.faults.handshakeErrors.Hits():
		fails = admission.Refuse(instrument.StatusError, http.StatusInternalServerError, "the server has failed: try again")
	case refused == nil && limit > 0 && g.open() > limit:
		fails = admission.Full()
	}
	if fails == nil {
		return release, who, refused
	}
	if release != nil {
		release()
	}
	return nil, auth.Identity{}, fails
}

// Verifier decorates what tells whose a token is: refused_tokens, and token_expiry for tokens that are presented while
// it is on, or else a client that renews its token as soon as it is warned would never see the end.
func (f *Faults) Verifier(v admission.Verifier) admission.Verifier { return faultyVerifier{v, f} }

type faultyVerifier struct {
	admission.Verifier
	faults *Faults
}

// Verify implements admission.Verifier.
func (v faultyVerifier) Verify(token string) (auth.Identity, error) {
	if v.faults.refusedTokens.Hits() {
		return v.faults.stranger.Verify(token)
	}
	who, err := v.Verifier.Verify(token)
	if wall := v.faults.expiryWall(); err == nil && wall.After(time.Now()) && who.Expires.After(wall) {
		who.Expires = wall
	}
	return who, err
}
