package auth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTokenFromRequest(t *testing.T) {
	type result struct {
		Token string
		Code  Code
	}
	for name, tc := range map[string]struct {
		query                string
		authorization, offer []string
		want                 result
	}{
		"none":                        {"", nil, nil, result{}},
		"other query":                 {"room=lobby&name=eve", nil, []string{"sockscope.json"}, result{}},
		"header":                      {"", []string{"Bearer a.b.c"}, nil, result{Token: "a.b.c"}},
		"scheme in another case":      {"", []string{"bEARER  a.b.c "}, nil, result{Token: "a.b.c"}},
		"subprotocol":                 {"", nil, []string{"sockscope.json, bearer.a.b.c"}, result{Token: "a.b.c"}},
		"subprotocol in another line": {"", nil, []string{"sockscope.json", "bearer.a.b.c"}, result{Token: "a.b.c"}},
		"subprotocol without a token": {"", nil, []string{"bearer."}, result{}},
		"no bearer's subprotocol":     {"", nil, []string{"Bearer.a.b.c, bearer"}, result{}},
		"basic":                       {"", []string{"Basic YTpi"}, nil, result{Code: CodeMalformed}},
		"bearer of nothing":           {"", []string{"Bearer "}, nil, result{Code: CodeMalformed}},
		"no scheme":                   {"", []string{"a.b.c"}, nil, result{Code: CodeMalformed}},
		"empty header":                {"", []string{""}, nil, result{Code: CodeMalformed}},
		"two headers":                 {"", []string{"Bearer a.b.c", "Bearer d.e.f"}, nil, result{Code: CodeMalformed}},
		"two subprotocols":            {"", nil, []string{"bearer.a.b.c, bearer.d.e.f"}, result{Code: CodeMalformed}},
		"header and subprotocol":      {"", []string{"Bearer a.b.c"}, []string{"bearer.a.b.c"}, result{Code: CodeMalformed}},
		"query":                       {"token=a.b.c", nil, nil, result{Code: CodeInURL}},
		"query in another case":       {"Access_Token=a.b.c", nil, nil, result{Code: CodeInURL}},
		"query by another name":       {"q=1&t=eyJhbGciOiJIUzI1NiJ9.e30.x", nil, nil, result{Code: CodeInURL}},
		"query beside the header":     {"token=a.b.c", []string{"Bearer a.b.c"}, nil, result{Code: CodeInURL}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/ws?"+tc.query, nil)
		r.Header = http.Header{"Authorization": tc.authorization, "Sec-Websocket-Protocol": tc.offer}
		token, err := TokenFromRequest(r)
		if diff := cmp.Diff(tc.want, result{token, codeOf(t, err)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzTokenFromRequest(f *testing.F) {
	f.Add("Bearer a.b.c", "sockscope.json", "room=lobby")
	f.Add("", "sockscope.json, bearer.a.b.c", "")
	f.Add("", "bearer.,bearer.", "token=x")
	f.Add("Basic x", ",", "a=eyJ&%")
	f.Fuzz(func(t *testing.T, authorization, offer, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if offer != "" {
			r.Header.Set("Sec-WebSocket-Protocol", offer)
		}
		token, err := TokenFromRequest(r)
		switch {
		case codeOf(t, err) != "":
			if token != "" {
				t.Errorf("refused with %v, yet %q", err, token)
			}
		case !strings.HasSuffix(strings.TrimSpace(authorization), token) && !strings.Contains(offer, "bearer."+token):
			t.Errorf("token %q is neither that of %q nor that of %q", token, authorization, offer)
		}
	})
}
