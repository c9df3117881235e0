package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// certificates notes until when the certificates hold that a target presents.
type certificates struct {
	expiry atomic.Int64 // Unix time, 0 if it has presented none
}

// watch returns a context in which TLS connections are noted.
func (c *certificates) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			var refused *tls.CertificateVerificationError
			switch {
			case err == nil:
				c.note(state.VerifiedChains)
			case errors.As(err, &refused):
				c.note([][]*x509.Certificate{refused.UnverifiedCertificates})
			}
		},
	})
}

// note takes the chain that holds longest: there is often an old one beside it.
func (c *certificates) note(chains [][]*x509.Certificate) {
	var longest int64
	for _, chain := range chains {
		var first int64 // of the chain to expire
		for i, certificate := range chain {
			if expires := certificate.NotAfter.Unix(); i == 0 || expires < first {
				first = expires
			}
		}
		longest = max(longest, first)
	}
	if longest != 0 {
		c.expiry.Store(longest)
	}
}

// expires returns the time until which the certificates hold, zero if none was presented.
func (c *certificates) expires() time.Time {
	unix := c.expiry.Load()
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0)
}
