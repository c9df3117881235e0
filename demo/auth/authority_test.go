package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/demo/wire"
)

var (
	testKey  = []byte("a key for tests, which everyone may know")
	otherKey = []byte("another key for tests, of the same worth")
)

func authority(t testing.TB, keys ...[]byte) *Authority {
	t.Helper()
	a, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// object is a JSON object. Its values are as they stand.
type object map[string]any

// with returns the object with a field replaced, or without it if the value is nil.
func (o object) with(name string, value any) object {
	o = maps.Clone(o)
	if o[name] = value; value == nil {
		delete(o, name)
	}
	return o
}

func segment(t testing.TB, v any) string {
	t.Helper()
	data, ok := v.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// sign puts a token together by hand. Header and claims are JSON as bytes, or what becomes JSON.
func sign(t testing.TB, key []byte, header, claims any) string {
	t.Helper()
	text := segment(t, header) + "." + segment(t, claims)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + segment(t, mac.Sum(nil))
}

func header() object { return object{"alg": "HS256", "typ": "JWT"} }

func goodClaims() object {
	now := time.Now().Unix()
	return object{"sub": "ann", "aud": Audience, "iat": now, "exp": now + 3600, "jti": "1"}
}

// codeOf returns the code of a refusal, empty if there was none.
func codeOf(t testing.TB, err error) Code {
	t.Helper()
	var refused *Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &refused):
		t.Fatalf("%v is no *Error", err)
	}
	return refused.Code
}

func TestIssueAndVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, testKey)
		for _, rooms := range [][]string{nil, {"lobby", "private.ann.*"}} {
			token, err := a.Issue("Ann Å", rooms, 90*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Verify(token)
			if err != nil {
				t.Fatal(err)
			}
			want := Identity{User: "Ann Å", Rooms: rooms, Expires: time.Now().Add(90 * time.Second)}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Identity{}, "ID")); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
			again, err := a.Issue("Ann Å", rooms, 90*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if other, err := a.Verify(again); err != nil || got.ID == "" || other.ID == got.ID {
				t.Errorf("ids of tokens are %q and %q: %v", got.ID, other.ID, err)
			}
			time.Sleep(90*time.Second - time.Nanosecond)
			if _, err := a.Verify(token); err != nil {
				t.Errorf("just before it expires: %v", err)
			}
			time.Sleep(time.Nanosecond)
			if _, err := a.Verify(token); codeOf(t, err) != CodeExpired {
				t.Errorf("when it expires: %v", err)
			}
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	a := authority(t, testKey)
	var many []string
	for range 100 {
		many = append(many, strings.Repeat("r", wire.MaxRoomBytes))
	}
	for name, tc := range map[string]struct {
		user     string
		rooms    []string
		lifetime time.Duration
		want     Code
	}{
		"shortest":            {"ann", nil, time.Second, ""},
		"longest":             {"ann", nil, 24 * time.Hour, ""},
		"no user":             {"", nil, time.Hour, CodeBadClaims},
		"user too long":       {strings.Repeat("å", wire.MaxNameRunes+1), nil, time.Hour, CodeBadClaims},
		"user with a newline": {"ann\nbob", nil, time.Hour, CodeBadClaims},
		"room of no name":     {"ann", []string{""}, time.Hour, CodeBadClaims},
		"star in the middle":  {"ann", []string{"a*b"}, time.Hour, CodeBadClaims},
		"two stars":           {"ann", []string{"a**"}, time.Hour, CodeBadClaims},
		"room too long":       {"ann", []string{strings.Repeat("r", wire.MaxRoomBytes+1)}, time.Hour, CodeBadClaims},
		"too many rooms":      {"ann", many, time.Hour, CodeTooLong},
		"no lifetime":         {"ann", nil, 0, CodeBadClaims},
		"lifetime too short":  {"ann", nil, time.Second - 1, CodeBadClaims},
		"lifetime too long":   {"ann", nil, 24*time.Hour + 1, CodeBadClaims},
	} {
		token, err := a.Issue(tc.user, tc.rooms, tc.lifetime)
		if got := codeOf(t, err); got != tc.want || (token == "") != (err != nil) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t, testKey)
		good, now := goodClaims(), time.Now().Unix()
		signed := func(claims any) string { return sign(t, testKey, header(), claims) }
		headed := func(header any) string { return sign(t, testKey, header, good) }
		valid := signed(good)
		parts := strings.Split(valid, ".")
		rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		by := func(method jwt.SigningMethod, key any) string {
			token, err := jwt.NewWithClaims(method, jwt.MapClaims(good)).SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		for name, tc := range map[string]struct {
			token string
			want  Code
		}{
			"good":                       {valid, ""},
			"other claims beside":        {signed(good.with("admin", true)), ""},
			"without jti and iat":        {signed(good.with("jti", nil).with("iat", nil)), ""},
			"one audience of several":    {signed(good.with("aud", []string{"x", Audience})), ""},
			"kid of the key":             {headed(header().with("kid", a.keys[0].id)), ""},
			"clock behind":               {signed(good.with("iat", now+30).with("nbf", now+30)), ""},
			"none":                       {"", CodeMissing},
			"word":                       {"secret", CodeMalformed},
			"two parts":                  {parts[0] + "." + parts[1], CodeMalformed},
			"four parts":                 {valid + ".x", CodeMalformed},
			"empty parts":                {"..", CodeMalformed},
			"space before":               {" " + valid, CodeMalformed},
			"newline within":             {valid[:9] + "\n" + valid[9:], CodeMalformed},
			"padding":                    {valid + "=", CodeMalformed},
			"signature in other letters": {otherLetters(valid), CodeMalformed},
			"not base64":                 {"a.b.c", CodeMalformed},
			"header is no JSON":          {headed([]byte("{")), CodeMalformed},
			"claims are no JSON":         {signed([]byte("{")), CodeMalformed},
			"claims are an array":        {signed([]byte("[]")), CodeMalformed},
			"two JSON objects":           {signed([]byte("{}{}")), CodeMalformed},
			"sub is a number":            {signed(good.with("sub", 1)), CodeMalformed},
			"exp is a string":            {signed(good.with("exp", "never")), CodeMalformed},
			"rooms is a string":          {signed(good.with("rooms", "lobby")), CodeMalformed},
			"crit":                       {headed(header().with("crit", []string{"b64"}).with("b64", false)), CodeMalformed},
			"too long":                   {strings.Repeat("a", wire.MaxTokenBytes+1), CodeTooLong},
			"valid but too long":         {signed(good.with("x", strings.Repeat("a", wire.MaxTokenBytes))), CodeTooLong},
			"alg none":                   {by(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), CodeWrongAlgorithm},
			"alg None":                   {segment(t, header().with("alg", "None")) + "." + parts[1] + ".", CodeWrongAlgorithm},
			"alg none, signed":           {headed(header().with("alg", "none")), CodeWrongAlgorithm},
			"alg HS512":                  {by(jwt.SigningMethodHS512, testKey), CodeWrongAlgorithm},
			"alg RS256":                  {by(jwt.SigningMethodRS256, rsaKey), CodeWrongAlgorithm},
			"alg unknown":                {headed(header().with("alg", "ROT13")), CodeWrongAlgorithm},
			"alg is a number":            {headed(header().with("alg", 1)), CodeWrongAlgorithm},
			"no alg":                     {headed(object{}), CodeWrongAlgorithm},
			"header null":                {headed([]byte("null")), CodeWrongAlgorithm},
			"other key":                  {sign(t, otherKey, header(), good), CodeBadSignature},
			"no signature":               {parts[0] + "." + parts[1] + ".", CodeBadSignature},
			"other claims, same sign":    {parts[0] + "." + segment(t, good.with("sub", "root")) + "." + parts[2], CodeBadSignature},
			"unknown kid":                {headed(header().with("kid", "x")), CodeBadSignature},
			"kid is a path":              {headed(header().with("kid", "/dev/null")), CodeBadSignature},
			"kid is an object":           {headed(header().with("kid", object{})), CodeBadSignature},
			"key within":                 {sign(t, otherKey, header().with("jwk", object{"k": "eA"}), good), CodeBadSignature},
			"no aud":                     {signed(good.with("aud", nil)), CodeWrongAudience},
			"other aud":                  {signed(good.with("aud", "another")), CodeWrongAudience},
			"aud that only begins so":    {signed(good.with("aud", Audience+"2")), CodeWrongAudience},
			"claims null":                {signed([]byte("null")), CodeWrongAudience},
			"expired":                    {signed(good.with("exp", now)), CodeExpired},
			"expired within leeway":      {signed(good.with("exp", now-1)), CodeExpired},
			"expired before the epoch":   {signed(good.with("exp", -1e18)), CodeExpired},
			"no exp":                     {signed(good.with("exp", nil)), CodeBadClaims},
			"exp null":                   {signed([]byte(`{"aud":"` + Audience + `","sub":"ann","exp":null}`)), CodeBadClaims},
			"exp too far":                {signed(good.with("exp", now+86400+31)), CodeBadClaims},
			"exp as far as may be":       {signed(good.with("exp", now+86400)), ""},
			"exp in ages":                {signed(good.with("exp", 1e15)), CodeBadClaims},
			"nbf ahead":                  {signed(good.with("nbf", now+31)), CodeNotYetValid},
			"iat ahead":                  {signed(good.with("iat", now+31)), CodeNotYetValid},
			"no sub":                     {signed(good.with("sub", nil)), CodeBadClaims},
			"sub empty":                  {signed(good.with("sub", "")), CodeBadClaims},
			"sub too long":               {signed(good.with("sub", strings.Repeat("å", wire.MaxNameRunes+1))), CodeBadClaims},
			"sub with a bell":            {signed(good.with("sub", "ann\a")), CodeBadClaims},
			"sub turns the text around":  {signed(good.with("sub", "ann\u202e")), CodeBadClaims},
			"room of no name":            {signed(good.with("rooms", []string{"lobby", ""})), CodeBadClaims},
			"star in the middle":         {signed(good.with("rooms", []string{"a*b"})), CodeBadClaims},
		} {
			identity, err := a.Verify(tc.token)
			if got := codeOf(t, err); got != tc.want {
				t.Errorf("%s: %v, want %q", name, err, tc.want)
			}
			if (identity.User == "ann") != (err == nil) {
				t.Errorf("%s: %+v with %v", name, identity, err)
			}
		}
	})
}

// otherLetters changes the last letter of a token in the bits that stand for nothing.
func otherLetters(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])^1])
}

// TestRotation replaces a key step by step.
func TestRotation(t *testing.T) {
	before, during := authority(t, testKey), authority(t, testKey, otherKey)
	switched, after := authority(t, otherKey, testKey), authority(t, otherKey)
	issue := func(a *Authority) string {
		token, err := a.Issue("ann", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	old, fresh := issue(during), issue(switched)
	for _, tc := range []struct {
		name     string
		by       *Authority
		old, new Code
	}{
		{"before", before, "", CodeBadSignature},
		{"during", during, "", ""},
		{"switched", switched, "", ""},
		{"after", after, CodeBadSignature, ""},
	} {
		_, oldErr := tc.by.Verify(old)
		_, newErr := tc.by.Verify(fresh)
		if got := [2]Code{codeOf(t, oldErr), codeOf(t, newErr)}; got != [2]Code{tc.old, tc.new} {
			t.Errorf("%s: old and new token are %q, want %q", tc.name, got, [2]Code{tc.old, tc.new})
		}
	}
	for name, tc := range map[string]struct {
		header object
		want   Code
	}{
		"no key named":        {header(), ""},
		"its key named":       {header().with("kid", keyID(testKey)), ""},
		"the other key named": {header().with("kid", keyID(otherKey)), CodeBadSignature},
	} {
		if _, err := switched.Verify(sign(t, testKey, tc.header, goodClaims())); codeOf(t, err) != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if named := segment(t, header().with("kid", keyID(testKey))); !strings.HasPrefix(old, named+".") {
		t.Errorf("%s does not name its key", old)
	}
}

func TestMaxLifetime(t *testing.T) {
	a := authority(t, testKey)
	a.MaxLifetime = time.Minute
	if _, err := a.Issue("ann", nil, time.Minute+1); codeOf(t, err) != CodeBadClaims {
		t.Errorf("issued for more than a minute: %v", err)
	}
	if _, err := a.Verify(sign(t, testKey, header(), goodClaims())); codeOf(t, err) != CodeBadClaims {
		t.Errorf("an hour is accepted: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"no key":     {},
		"short key":  {make([]byte, MinKeyBytes-1)},
		"short next": {testKey, []byte("short")},
	} {
		if _, err := New(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMayEnter(t *testing.T) {
	for _, tc := range []struct {
		rooms []string
		room  string
		want  bool
	}{
		{nil, "lobby", true},
		{nil, "private", true},
		{nil, "private.ann", false},
		{nil, "private.", false},
		{[]string{"lobby"}, "lobby", true},
		{[]string{"lobby"}, "lobby2", false},
		{[]string{"lobby"}, "lob", false},
		{[]string{"lobby"}, "Lobby", false},
		{[]string{"team.*"}, "team.red", true},
		{[]string{"team.*"}, "team.", true},
		{[]string{"team.*"}, "team", false},
		{[]string{"team.*"}, "lobby", false},
		{[]string{"*"}, "lobby", true},
		{[]string{"*"}, "private.ann", false},
		{[]string{"priv*"}, "private", true},
		{[]string{"priv*"}, "private.ann", false},
		{[]string{"*", "private.ann"}, "private.ann", true},
		{[]string{"private.ann"}, "private.bob", false},
		{[]string{"private.ann"}, "lobby", false},
		{[]string{"private.*"}, "private.ann", true},
		{[]string{"private.ann.*"}, "private.ann.x", true},
		{[]string{"private.ann.*"}, "private.annette", false},
	} {
		if got := (Identity{Rooms: tc.rooms}).MayEnter(tc.room); got != tc.want {
			t.Errorf("%q with %q: %t, want %t", tc.room, tc.rooms, got, tc.want)
		}
	}
}

// FuzzVerify lets strangers send what they like.
func FuzzVerify(f *testing.F) {
	a := authority(f, testKey)
	f.Add("")
	f.Add("a.b.c")
	f.Add(sign(f, otherKey, header(), goodClaims()))
	f.Add(segment(f, header().with("alg", "none")) + "." + segment(f, goodClaims()) + ".")
	f.Fuzz(func(t *testing.T, token string) {
		identity, err := a.Verify(token)
		if codeOf(t, err) == "" || !cmp.Equal(identity, Identity{}) {
			t.Errorf("%q is taken for a token of %+v", token, identity)
		}
		if len(token) > 12 && strings.Contains(err.Error(), token) {
			t.Errorf("%v repeats the token", err)
		}
	})
}

// FuzzClaims signs whatever there is, as only who has the key can.
func FuzzClaims(f *testing.F) {
	a := authority(f, testKey)
	for _, claims := range []string{
		`null`, `{}`, `{"aud":"sockscope-demo"}`, `{"aud":["sockscope-demo"],"sub":"ann","exp":1e300}`,
		`{"aud":"sockscope-demo","sub":"ann","exp":-9223372036854775809,"rooms":["*"]}`,
		jsonText(f, goodClaims()),
	} {
		f.Add(`{"alg":"HS256"}`, claims)
		f.Add(`{"alg":"HS256","kid":null}`, claims)
	}
	f.Fuzz(func(t *testing.T, header, claims string) {
		identity, err := a.Verify(sign(t, testKey, []byte(header), []byte(claims)))
		if codeOf(t, err) != "" {
			return
		}
		in := time.Until(identity.Expires)
		if wire.CheckName(identity.User) != nil || in > a.MaxLifetime+leeway || in < -time.Minute || checkRooms(identity.Rooms) != nil {
			t.Errorf("%s is accepted: %+v", claims, identity)
		}
	})
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
