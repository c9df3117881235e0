package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOrigins(t *testing.T) {
	o, err := ParseOrigins([]string{"https://app.example.com", "Any.example.org", "*.below.example", "https://*.secure.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		origin string
		want   Code
	}{
		{"https://demo.example", ""},
		{"http://DEMO.example", ""},
		{"https://demo.example:8443", CodeBadOrigin},
		{"https://app.example.com", ""},
		{"HTTPS://APP.example.com", ""},
		{"http://app.example.com", CodeBadOrigin},
		{"https://app.example.com:444", CodeBadOrigin},
		{"https://app.example.com.evil.example", CodeBadOrigin},
		{"https://evil.example/app.example.com", CodeBadOrigin},
		{"https://app.example.com@evil.example", CodeBadOrigin},
		{"https://sub.app.example.com", CodeBadOrigin},
		{"http://any.example.org", ""},
		{"https://any.example.org", ""},
		{"https://a.below.example", ""},
		{"http://b.a.below.example", ""},
		{"https://below.example", CodeBadOrigin},
		{"https://.below.example", CodeBadOrigin},
		{"https://evilbelow.example", CodeBadOrigin},
		{"https://a.secure.example:8443", ""},
		{"https://a.secure.example", CodeBadOrigin},
		{"http://a.secure.example:8443", CodeBadOrigin},
		{"null", CodeBadOrigin},
		{"", CodeBadOrigin},
		{"file://", CodeBadOrigin},
		{"https://%zz", CodeBadOrigin},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://demo.example/ws", nil)
		r.Header.Set("Origin", tc.origin)
		if got := codeOf(t, o.Check(r)); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.origin, got, tc.want)
		}
	}
}

func TestOriginsByDefault(t *testing.T) {
	for name, tc := range map[string]struct {
		origins []string
		want    Code
	}{
		"no browser":   {nil, ""},
		"same host":    {[]string{"https://demo.example"}, ""},
		"another host": {[]string{"https://evil.example"}, CodeBadOrigin},
		"two":          {[]string{"https://demo.example", "https://demo.example"}, CodeBadOrigin},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://demo.example/ws", nil)
		r.Header["Origin"] = tc.origins
		if got := codeOf(t, Origins{}.Check(r)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestParseOriginsRefuses(t *testing.T) {
	for _, text := range []string{
		"", "*", "*.", "https://", "https://*", "*example.com", ".example.com", "a.*.example.com", "**.example.com",
		"https://example.com/", "example.com/app", "user@example.com", "example.com?x", "exam ple.com", "https://a.example#x",
	} {
		if _, err := ParseOrigins([]string{"https://good.example", text}); err == nil {
			t.Errorf("%q is taken for an origin", text)
		}
	}
}
