package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/internal/upstream"
)

// TestCertificateExpiry probes a demo behind TLS with certificates that hold for long and no more, and one that the
// probe does not know.
func TestCertificateExpiry(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	authority, err := auth.New([]byte(demotest.Key))
	if err != nil {
		t.Fatal(err)
	}
	tokens := func(_ context.Context, _ upstream.Server, user string) (string, error) {
		return authority.Issue(user, nil, time.Hour)
	}
	for _, tt := range []struct {
		name               string
		authority, expires time.Time // when the certificates expire
		known              bool
		want               time.Time
		accepted           bool
	}{
		{"holds", now.Add(240 * time.Hour), now.Add(24 * time.Hour), true, now.Add(24 * time.Hour), true},
		{"its authority expires first", now.Add(12 * time.Hour), now.Add(24 * time.Hour), true, now.Add(12 * time.Hour), true},
		{"has expired", now.Add(240 * time.Hour), now.Add(-time.Hour), true, now.Add(-time.Hour), false},
		{"is unknown", now.Add(240 * time.Hour), now.Add(24 * time.Hour), false, now.Add(24 * time.Hour), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler, _ := runDemo(t, nil)
			server := httptest.NewUnstartedServer(handler)
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of handshakes that fail
			authority := issue(t, nil, tt.authority)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{issue(t, &authority, tt.expires)}}
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			if tt.known {
				roots.AddCert(authority.Leaf)
			}
			target, err := ParseTarget("demo=" + socket(server))
			if err != nil {
				t.Fatal(err)
			}
			p, err := New(Config{Targets: []Target{target}, Interval: patience, Timeout: patience, Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			p.dialer.TLS = &tls.Config{RootCAs: roots}
			r := p.probe(t.Context(), target)
			p.record(target, r)
			if got, want := testutil.ToFloat64(p.certificateExpiry), float64(tt.want.Unix()); got != want {
				t.Errorf("the certificate expires at %v, want %v", got, want)
			}
			if (r.err == nil) != tt.accepted {
				t.Errorf("the probe ends with %v; are the certificates to be accepted: %v", r.err, tt.accepted)
			}
		})
	}
}

// issue makes a certificate for this machine, signed by the authority, or by itself as an authority if there is none.
func issue(t *testing.T, authority *tls.Certificate, expires time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: expires.AddDate(-1, 0, 0), NotAfter: expires,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: authority == nil, BasicConstraintsValid: true,
	}
	issued := tls.Certificate{PrivateKey: key}
	if authority == nil {
		authority = &tls.Certificate{PrivateKey: key, Leaf: template}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if issued.Leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	issued.Certificate = [][]byte{der}
	return issued
}
