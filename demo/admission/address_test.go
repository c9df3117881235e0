package admission

import (
	"net/http"
	"net/netip"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := prefixes("10.0.0.0/8", "127.0.0.1/32", "fd00::/8")
	for name, tc := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                    {"203.0.113.7:5000", nil, "203.0.113.7"},
		"direct, made up":           {"203.0.113.7:5000", []string{"198.51.100.1"}, "203.0.113.7"},
		"one proxy":                 {"10.0.0.1:5000", []string{"198.51.100.1"}, "198.51.100.1"},
		"one proxy, made up before": {"10.0.0.1:5000", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":               {"10.0.0.1:5000", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"two headers":               {"10.0.0.1:5000", []string{"192.0.2.66", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		"proxies only":              {"10.0.0.1:5000", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		"proxy that says nothing":   {"10.0.0.1:5000", nil, "10.0.0.1"},
		"proxy that says nonsense":  {"10.0.0.1:5000", []string{"unknown"}, "10.0.0.1"},
		"nonsense before":           {"10.0.0.1:5000", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
		"empty":                     {"10.0.0.1:5000", []string{""}, "10.0.0.1"},
		"IPv6":                      {"[2001:db8::1]:5000", nil, "2001:db8::1"},
		"IPv6 proxy":                {"[fd00::1]:5000", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv4 in IPv6":              {"[::ffff:203.0.113.7]:5000", nil, "203.0.113.7"},
		"proxy, IPv4 in IPv6":       {"[::ffff:10.0.0.1]:5000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"no address":                {"@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{"X-Forwarded-For": tc.forwarded}}
		if got := clientAddress(r, proxies).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// FuzzClientAddress has a client write whatever it likes: it can't make itself another, as the proxy adds what it sees.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{"", "198.51.100.1", "a, b", "10.0.0.1", ",,,", "::1%eth0", "198.51.100.1:80"} {
		f.Add(seed)
	}
	proxies := prefixes("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, forwarded string) {
		direct := &http.Request{RemoteAddr: "203.0.113.7:5000", Header: http.Header{"X-Forwarded-For": {forwarded}}}
		if got := clientAddress(direct, proxies).String(); got != "203.0.113.7" {
			t.Errorf("%q makes a client %s", forwarded, got)
		}
		proxied := &http.Request{RemoteAddr: "10.0.0.1:5000", Header: http.Header{"X-Forwarded-For": {forwarded, "203.0.113.7"}}}
		if got := clientAddress(proxied, proxies).String(); got != "203.0.113.7" {
			t.Errorf("%q makes a client behind a proxy %s", forwarded, got)
		}
	})
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7":            "203.0.113.7",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::",
		"2001:db8:1:2:ffff::1":   "2001:db8:1:2::",
		"fe80::1:2:3:4%loopback": "fe80::",
	} {
		if got := network(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
}
