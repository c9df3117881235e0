package auth

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/wire"
)

// Audience is the aud that tokens for the demo have.
const Audience = "sockscope-demo"

const (
	defaultLifetime = 24 * time.Hour
	// leeway is by how much clocks may differ. It does not put off the end of a token, which has to be the same for a
	// connection that opens as for one that is open.
	leeway = 30 * time.Second
)

// An Authority verifies and issues tokens. It is safe for concurrent use.
type Authority struct {
	// MaxLifetime is how far ahead a token may end; 24 hours by default. It is to be set before the first use.
	MaxLifetime time.Duration

	parser *jwt.Parser
	keys   []key // the first signs
}

type key struct {
	id     string
	secret []byte
}

// claims are those of a token. Others are ignored.
type claims struct {
	jwt.RegisteredClaims
	Rooms []string `json:"rooms,omitempty"`
}

// New returns an Authority. Tokens are signed with the first key and verified with any. To replace a key, first add the
// new one as a second to every node, then make it the first, and drop the old one when its last token has expired. A
// key has at least MinKeyBytes bytes.
func New(keys ...[]byte) (*Authority, error) {
	if len(keys) == 0 {
		return nil, errors.New("auth: no key for tokens: give one, see LoadKey")
	}
	a := &Authority{
		MaxLifetime: defaultLifetime,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithStrictDecoding(),
			jwt.WithoutClaimsValidation(), // see claims.check
		),
	}
	for i, secret := range keys {
		if err := checkKey(secret); err != nil {
			return nil, fmt.Errorf("auth: key %d: %w", i+1, err)
		}
		a.keys = append(a.keys, key{keyID(secret), bytes.Clone(secret)})
	}
	return a, nil
}

// Issue returns a token for a user, who may enter the rooms (see Identity.MayEnter), from now on for lifetime. Lifetime
// is a second or more and counts in whole seconds.
func (a *Authority) Issue(user string, rooms []string, lifetime time.Duration) (string, error) {
	if err := checkUser(user); err != nil {
		return "", err
	}
	if err := checkRooms(rooms); err != nil {
		return "", err
	}
	if lifetime < time.Second || lifetime > a.MaxLifetime {
		return "", refusal(CodeBadClaims, "a token lasts from 1s to %v, not %v", a.MaxLifetime, lifetime)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   user,
			Audience:  jwt.ClaimStrings{Audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
			ID:        uuid.NewString(),
		},
		Rooms: rooms,
	})
	token.Header["kid"] = a.keys[0].id
	signed, err := token.SignedString(a.keys[0].secret)
	if err != nil {
		return "", fmt.Errorf("auth: sign a token: %w", err)
	}
	if len(signed) > wire.MaxTokenBytes {
		return "", refusal(CodeTooLong, "a token has at most %d bytes: name fewer rooms, or use patterns", wire.MaxTokenBytes)
	}
	return signed, nil
}

// Verify returns what a token says of its bearer, or an *Error.
func (a *Authority) Verify(token string) (Identity, error) {
	switch {
	case token == "":
		return Identity{}, refusal(CodeMissing, "send a token: Authorization: Bearer …, or the subprotocol "+subprotocolPrefix+"…")
	case len(token) > wire.MaxTokenBytes:
		return Identity{}, refusal(CodeTooLong, "a token has at most %d bytes", wire.MaxTokenBytes)
	case strings.ContainsFunc(token, notInToken):
		return Identity{}, errMalformed()
	}
	var c claims
	parsed, err := a.parser.ParseWithClaims(token, &c, a.keysFor)
	if err != nil {
		return Identity{}, reasonOf(parsed, err)
	}
	if err := c.check(time.Now(), a.MaxLifetime); err != nil {
		return Identity{}, err
	}
	return Identity{User: c.Subject, Rooms: c.Rooms, Expires: c.ExpiresAt.Time, ID: c.ID}, nil
}

// notInToken reports whether a character is none of base64url's, nor the dot between the parts.
func notInToken(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// keysFor returns the keys that may have signed a token: the one it names or, where it names none, all.
func (a *Authority) keysFor(token *jwt.Token) (any, error) {
	// An extension that is critical to its maker has to be understood or the token refused (RFC 7515, 4.1.11).
	if _, ok := token.Header["crit"]; ok {
		return nil, refusal(CodeMalformed, "extensions of JSON Web Tokens (crit) are not supported")
	}
	id, named := token.Header["kid"]
	var set jwt.VerificationKeySet
	for _, k := range a.keys {
		if !named || id == k.id {
			set.Keys = append(set.Keys, k.secret)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errBadSignature()
	}
	return set, nil
}

// reasonOf translates an error of the parser. Its own text would repeat parts of the token.
func reasonOf(token *jwt.Token, err error) *Error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformed()
	case token == nil || token.Method == nil || token.Method.Alg() != jwt.SigningMethodHS256.Alg():
		return refusal(CodeWrongAlgorithm, "a token has to be signed with HS256")
	default:
		return errBadSignature()
	}
}

func errMalformed() *Error {
	return refusal(CodeMalformed, "that is no JSON Web Token: send three base64url parts with dots between them")
}

func errBadSignature() *Error {
	return refusal(CodeBadSignature, "the token is signed by nobody known here: get a new one")
}

// check says what is wrong with the claims of a token whose signature is right.
func (c *claims) check(now time.Time, maxLifetime time.Duration) error {
	ahead := func(date *jwt.NumericDate) bool { return date != nil && date.After(now.Add(leeway)) }
	switch {
	case !slices.Contains(c.Audience, Audience):
		return refusal(CodeWrongAudience, "the token is for another service: its audience (aud) has to be "+Audience)
	case c.ExpiresAt == nil:
		return refusal(CodeBadClaims, "a token has to say when it expires (exp)")
	case !now.Before(c.ExpiresAt.Time):
		return refusal(CodeExpired, "the token has expired: get a new one")
	case c.ExpiresAt.After(now.Add(maxLifetime + leeway)):
		return refusal(CodeBadClaims, "a token has to expire (exp) within %v", maxLifetime)
	case ahead(c.NotBefore), ahead(c.IssuedAt):
		return refusal(CodeNotYetValid, "the token is not valid yet (nbf, iat): wait, or set the clock of who has made it")
	}
	if err := checkUser(c.Subject); err != nil {
		return err
	}
	return checkRooms(c.Rooms)
}
