package inject

import (
	"context"
	"net/http"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/instrument"
)

// Gate decorates who comes in: handshake_errors, connection_limit. Open returns how many have.
func (f *Faults) Gate(g admission.Gate, open func() int) admission.Gate {
	return faultyGate{g, f, open}
}

type faultyGate struct {
	admission.Gate
	faults *Faults
	open   func() int
}

// Enter implements admission.Gate.
func (g faultyGate) Enter(ctx context.Context, r *http.Request) (release func(), who auth.Identity, _ *admission.Refusal) {
	if g.faults.handshakeErrors.Hits() {
		return nil, who, admission.Refuse(instrument.StatusError, http.StatusInternalServerError, "the server has failed: try again")
	}
	release, who, refused := g.Gate.Enter(ctx, r)
	if limit := int(g.faults.connectionLimit.Strength()); refused == nil && limit > 0 && g.open() > limit {
		release()
		return nil, who, admission.Full()
	}
	return release, who, refused
}

// Verifier decorates what tells whose a token is: refused_tokens.
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
	return v.Verifier.Verify(token)
}
