// Package auth says who connects to the demo and what they may enter.
//
// A user is known by a token: a JSON Web Token that is signed with HMAC-SHA-256 by a key that all nodes share. An
// [Authority] verifies tokens, and issues them for development. A token comes with the handshake, in a header or as a
// WebSocket subprotocol, see [TokenFromRequest], and never in the URL, because URLs are written to logs.
//
//	{"sub": "ann", "aud": "sockscope-demo", "iat": 1767366000, "exp": 1767369600, "rooms": ["lobby", "private.ann.*"], "jti": "…"}
//
// Whether the page that connects may do so is another question, which [Origins] answers.
//
// Everything that is refused is refused with an [Error], which never repeats what was sent.
package auth
