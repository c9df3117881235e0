// Package admission decides which requests become connections, and whose: by the page that they come from, by their
// token, and by how many there are already. It knows no transport: one that is not served by net/http makes a request
// of what it has, as gRPC's metadata are headers.
package admission

import (
	"context"
	"net/http"
	"net/netip"

	"go.opentelemetry.io/otel/codes"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/instrument"
)

// Gate is what every connection passes before it opens.
type Gate interface {
	// Enter decides whether a request may become a connection, and whose. The identity is the zero value if the request
	// carries no token. Unless it is refused, the connection has a place until release is called.
	Enter(ctx context.Context, r *http.Request) (release func(), who auth.Identity, _ *Refusal)
	// Check returns who sends a request that belongs to a connection which is open already. One without a token is
	// refused.
	Check(ctx context.Context, r *http.Request) (auth.Identity, *Refusal)
}

// Verifier tells whose a token is. An *auth.Authority is one.
type Verifier interface {
	Verify(token string) (auth.Identity, error)
}

// Config says who is let in.
type Config struct {
	Verifier Verifier
	Origins  auth.Origins
	// Connections and ConnectionsPerAddress are how many may be open at once.
	Connections, ConnectionsPerAddress int
	// TrustedProxies are those whose X-Forwarded-For says where a client is.
	TrustedProxies []netip.Prefix
}

// Door is the Gate of a node.
type Door struct {
	cfg    Config
	places places
}

// New returns a door that is open.
func New(cfg Config) *Door {
	return &Door{cfg: cfg, places: places{limit: cfg.Connections, perAddress: cfg.ConnectionsPerAddress}}
}

// Enter implements Gate.
func (d *Door) Enter(ctx context.Context, r *http.Request) (release func(), who auth.Identity, _ *Refusal) {
	who, refused := d.identify(ctx, r)
	if refused != nil {
		return nil, who, refused
	}
	release, refused = d.places.take(clientAddress(r, d.cfg.TrustedProxies))
	return release, who, refused
}

// Check implements Gate.
func (d *Door) Check(ctx context.Context, r *http.Request) (auth.Identity, *Refusal) {
	who, refused := d.identify(ctx, r)
	if refused == nil && who.User == "" {
		refused = NoToken()
	}
	return who, refused
}

// NoToken is the refusal of a request that has to carry a token and does not.
func NoToken() *Refusal {
	return Refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, "send a token: Authorization: Bearer …")
}

// Full is the refusal of a request for which there is no place.
func Full() *Refusal {
	return Refuse(instrument.StatusOverCapacity, http.StatusServiceUnavailable,
		"the server has as many connections as it may: try again later")
}

// identify returns whom a request comes from, the zero value if it carries no token.
func (d *Door) identify(ctx context.Context, r *http.Request) (who auth.Identity, _ *Refusal) {
	if err := d.cfg.Origins.Check(r); err != nil {
		return who, Refuse(instrument.StatusForbidden, http.StatusForbidden, err.Error())
	}
	token, err := auth.TokenFromRequest(r)
	if err == nil && token != "" {
		who, err = d.Verify(ctx, token)
	}
	if err != nil {
		return who, Refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, err.Error())
	}
	return who, nil
}

// Verify tells whose a token is. Every token passes here, however it came.
func (d *Door) Verify(ctx context.Context, token string) (auth.Identity, error) {
	_, span := observe.StartSpan(ctx, "auth")
	defer span.End()
	who, err := d.cfg.Verifier.Verify(token)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return who, err
}

// Open returns how many connections have a place.
func (d *Door) Open() int { return d.places.open() }

// Close lets nobody in any more.
func (d *Door) Close() { d.places.close() }

// Wait returns when everybody who was let in has gone. Call it after Close.
func (d *Door) Wait() { d.places.taken.Wait() }
