package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Origins says which pages on the web may connect besides those of the host itself. The zero value lets no others.
type Origins struct {
	patterns []origin
}

// origin is where a page comes from, or a pattern for it.
type origin struct {
	scheme string // empty in a pattern for any
	host   string // with port, in lower case
	below  bool   // of a pattern: host begins with a dot and stands for all names that end so
}

// ParseOrigins reads a list of origins: "https://app.example.com" is one origin, "app.example.com" is that host with
// any scheme, and "*.example.com" are all hosts below that one. A port has to be given where it isn't the scheme's own.
func ParseOrigins(list []string) (Origins, error) {
	var o Origins
	for _, text := range list {
		p := origin{host: text}
		if scheme, host, ok := strings.Cut(text, "://"); ok {
			p = origin{scheme: strings.ToLower(scheme), host: host}
		}
		p.host, p.below = strings.CutPrefix(strings.ToLower(p.host), "*")
		u, err := url.Parse("//" + strings.TrimPrefix(p.host, "."))
		if err != nil || u.Host == "" || u.Host != strings.TrimPrefix(p.host, ".") || strings.Contains(u.Host, "*") ||
			p.below != strings.HasPrefix(p.host, ".") {
			return Origins{}, fmt.Errorf("auth: %q is no origin: give https://app.example.com, app.example.com or *.example.com", text)
		}
		o.patterns = append(o.patterns, p)
	}
	return o, nil
}

// Check returns an *Error if a request comes from a page that may not connect. Only browsers say where a page comes
// from, and only they can be made to connect with somebody else's rights, so a request without an Origin passes.
func (o Origins) Check(r *http.Request) error {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return nil
	}
	u, err := url.Parse(values[0])
	if len(values) > 1 || err != nil || u.Host == "" {
		return refusal(CodeBadOrigin, "the header Origin names no page that may connect")
	}
	host := strings.ToLower(u.Host)
	if host == strings.ToLower(r.Host) || slices.ContainsFunc(o.patterns, origin{scheme: u.Scheme, host: host}.matches) {
		return nil
	}
	return refusal(CodeBadOrigin, "pages from there may not connect: let the server know their origin")
}

func (o origin) matches(pattern origin) bool {
	if pattern.scheme != "" && pattern.scheme != o.scheme {
		return false
	}
	if pattern.below {
		return strings.HasSuffix(o.host, pattern.host) && len(o.host) > len(pattern.host)
	}
	return o.host == pattern.host
}
