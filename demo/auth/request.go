package auth

import (
	"net/http"
	"strings"
)

// subprotocolPrefix begins the WebSocket subprotocol that is a token. A browser can set no header for a handshake, but
// it can name subprotocols, and all characters of a token are allowed in one.
const subprotocolPrefix = "bearer."

// TokenFromRequest returns the token that a request brings along, empty if there is none; it is for Verify to judge it.
// A token is either in the header "Authorization: Bearer …" or in the WebSocket subprotocol "bearer.…". The server must
// not select the latter, which would send the token back, but another one that the client offers beside it. A token in
// the URL, more than one, and an Authorization that is no bearer's are refused with an *Error.
func TokenFromRequest(r *http.Request) (token string, err error) {
	if inURL(r) {
		return "", refusal(CodeInURL, "a token in a URL ends up in logs: send the header Authorization: Bearer …, "+
			"or the WebSocket subprotocol "+subprotocolPrefix+"…, and take this token for known to others")
	}
	found := 0
	for _, header := range r.Header.Values("Authorization") {
		scheme, value, _ := strings.Cut(header, " ")
		value = strings.TrimSpace(value)
		if !strings.EqualFold(scheme, "Bearer") || value == "" {
			return "", refusal(CodeMalformed, "the header Authorization has to be Bearer, a space and the token")
		}
		token = value
		found++
	}
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(header, ",") {
			if value, ok := strings.CutPrefix(strings.TrimSpace(offer), subprotocolPrefix); ok {
				token = value
				found++
			}
		}
	}
	if found > 1 {
		return "", refusal(CodeMalformed, "send one token, not %d", found)
	}
	return token, nil
}

// inURL finds tokens by the usual names, and under any name by how every one of them begins: {" in base64.
func inURL(r *http.Request) bool {
	for name, values := range r.URL.Query() {
		switch strings.ToLower(name) {
		case "token", "access_token", "id_token", "jwt", "bearer", "authorization":
			return true
		}
		for _, value := range values {
			if strings.HasPrefix(value, "eyJ") {
				return true
			}
		}
	}
	return false
}
