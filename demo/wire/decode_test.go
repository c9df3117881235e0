package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const id = "6f1c2a80-5d1e-4b6c-9a43-0f2f6a1b7c55"

// frame puts a client's frame together from its type and payload.
func frame(typ, payload string) string {
	return `{"type":"` + typ + `","timestamp":"2026-01-02T15:04:05Z","messageId":"` + id + `","payload":` + payload + `}`
}

func TestDecode(t *testing.T) {
	rest := `"timestamp":"2026-01-02T15:04:05Z","messageId":"` + id + `"`
	for name, tc := range map[string]struct {
		frame string
		code  Code // "" means accepted
		id    string
	}{
		"ping without payload":     {`{"type":"ping",` + rest + `}`, "", id},
		"message":                  {frame("message", `{"room":"lobby","text":"hi"}`), "", id},
		"trace context":            {`{"type":"ping","traceparent":"not one","tracestate":"a=b","seq":7,` + rest + `}`, "", id},
		"space around":             {" \n{\"type\":\"ping\"," + rest + "}\n", "", id},
		"empty":                    {``, CodeBadJSON, ""},
		"not JSON":                 {`hello`, CodeBadJSON, ""},
		"array":                    {`[]`, CodeBadJSON, ""},
		"null":                     {`null`, CodeBadJSON, ""},
		"cut off":                  {`{"type":"ping"`, CodeBadJSON, ""},
		"two objects":              {`{"type":"ping",` + rest + `}{}`, CodeBadJSON, ""},
		"junk after":               {`{"type":"ping",` + rest + `}]`, CodeBadJSON, ""},
		"unknown field":            {`{"type":"ping","admin":true,` + rest + `}`, CodeBadJSON, ""},
		"type is a number":         {`{"type":1,` + rest + `}`, CodeBadJSON, ""},
		"negative seq":             {`{"type":"ping","seq":-1,` + rest + `}`, CodeBadJSON, ""},
		"not UTF-8":                {"{\"type\":\"\xff\"," + rest + "}", CodeBadJSON, ""},
		"no messageId":             {`{"type":"ping","timestamp":"2026-01-02T15:04:05Z"}`, CodeBadEnvelope, ""},
		"messageId is no UUID":     {`{"type":"ping","timestamp":"2026-01-02T15:04:05Z","messageId":"1"}`, CodeBadEnvelope, ""},
		"messageId in braces":      {`{"type":"ping","timestamp":"2026-01-02T15:04:05Z","messageId":"{` + id + `}"}`, CodeBadEnvelope, ""},
		"no type":                  {`{` + rest + `}`, CodeBadEnvelope, id},
		"no timestamp":             {`{"type":"ping","messageId":"` + id + `"}`, CodeBadEnvelope, id},
		"timestamp is not RFC3339": {`{"type":"ping","timestamp":"yesterday","messageId":"` + id + `"}`, CodeBadJSON, ""},
		"unknown type":             {frame("shutdown", `{}`), CodeUnknownType, id},
		"a type of the server":     {frame("ack", `{"success":true}`), CodeUnknownType, id},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := Decode([]byte(tc.frame))
			if got := codeOf(t, err); got != tc.code {
				t.Errorf("code %q (%v), want %q", got, err, tc.code)
			}
			if env.MessageID != tc.id {
				t.Errorf("messageId %q, want %q", env.MessageID, tc.id)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	for name, tc := range map[string]struct {
		typ     Type
		payload string
		code    Code
	}{
		"join":                   {TypeJoin, `{"room":"lobby"}`, ""},
		"join, letters of any":   {TypeJoin, `{"room":"Зал-1.a_b"}`, ""},
		"join, no payload":       {TypeJoin, ``, CodeBadPayload},
		"join, null":             {TypeJoin, `null`, CodeBadPayload},
		"join, list":             {TypeJoin, `["lobby"]`, CodeBadPayload},
		"join, no room":          {TypeJoin, `{}`, CodeBadPayload},
		"join, space":            {TypeJoin, `{"room":"the lobby"}`, CodeBadPayload},
		"join, control":          {TypeJoin, `{"room":"a\u0000b"}`, CodeBadPayload},
		"join, unknown field":    {TypeJoin, `{"room":"lobby","as":"admin"}`, CodeBadPayload},
		"join, longest":          {TypeJoin, `{"room":"` + strings.Repeat("r", MaxRoomBytes) + `"}`, ""},
		"join, too long":         {TypeJoin, `{"room":"` + strings.Repeat("r", MaxRoomBytes+1) + `"}`, CodeBadPayload},
		"leave":                  {TypeLeave, `{"room":"lobby"}`, ""},
		"leave, room is number":  {TypeLeave, `{"room":4}`, CodeBadPayload},
		"message":                {TypeMessage, `{"room":"lobby","text":"hi"}`, ""},
		"message, blank":         {TypeMessage, `{"room":"lobby","text":" \n"}`, CodeBadPayload},
		"message, no room":       {TypeMessage, `{"text":"hi"}`, CodeBadPayload},
		"message, longest":       {TypeMessage, `{"room":"lobby","text":"` + strings.Repeat("x", MaxTextBytes) + `"}`, ""},
		"message, too long":      {TypeMessage, `{"room":"lobby","text":"` + strings.Repeat("x", MaxTextBytes+1) + `"}`, CodeBadPayload},
		"message, forged from":   {TypeMessage, `{"room":"lobby","text":"hi","from":"root"}`, CodeBadPayload},
		"join, after":            {TypeJoin, `{"room":"lobby","after":0}`, ""},
		"join, after is below":   {TypeJoin, `{"room":"lobby","after":-1}`, CodeBadPayload},
		"auth":                   {TypeAuth, `{"token":"a.b.c"}`, ""},
		"auth, no token":         {TypeAuth, `{}`, CodeBadPayload},
		"auth, too long":         {TypeAuth, `{"token":"` + strings.Repeat("x", MaxTokenBytes+1) + `"}`, CodeBadPayload},
		"typing":                 {TypeTyping, `{"room":"lobby","typing":true}`, ""},
		"typing, forged user":    {TypeTyping, `{"room":"lobby","typing":true,"user":"root"}`, CodeBadPayload},
		"read":                   {TypeRead, `{"room":"lobby","seq":3}`, ""},
		"read, nothing":          {TypeRead, `{"room":"lobby"}`, CodeBadPayload},
		"read, forged user":      {TypeRead, `{"room":"lobby","seq":3,"user":"root"}`, CodeBadPayload},
		"history":                {TypeHistory, `{"room":"lobby","after":3,"limit":10}`, ""},
		"history, too much":      {TypeHistory, `{"room":"lobby","limit":101}`, CodeBadPayload},
		"history, less than 0":   {TypeHistory, `{"room":"lobby","limit":-1}`, CodeBadPayload},
		"subscribe":              {TypeSubscribe, `{"stream":"market"}`, ""},
		"subscribe, to what":     {TypeSubscribe, `{"stream":"lobby"}`, CodeBadPayload},
		"unsubscribe":            {TypeUnsubscribe, `{"stream":"dashboard"}`, ""},
		"notify":                 {TypeNotify, `{"user":"Ada","text":"hi"}`, ""},
		"notify, nobody":         {TypeNotify, `{"text":"hi"}`, CodeBadPayload},
		"notify, nothing":        {TypeNotify, `{"user":"Ada"}`, CodeBadPayload},
		"game, a direction":      {TypeGameInput, `{"x":-1,"y":1,"ack":7}`, ""},
		"game, too fast":         {TypeGameInput, `{"x":2,"y":0}`, CodeBadPayload},
		"game, far too fast":     {TypeGameInput, `{"x":0,"y":-9223372036854775808}`, CodeBadPayload},
		"game, a fraction":       {TypeGameInput, `{"x":0.5,"y":0}`, CodeBadPayload},
		"game, ack below 0":      {TypeGameInput, `{"x":0,"y":0,"ack":-1}`, CodeBadPayload},
		"game, a place":          {TypeGameInput, `{"x":0,"y":0,"player":3}`, CodeBadPayload},
		"game, nothing":          {TypeGameInput, ``, CodeBadPayload},
		"join, a document":       {TypeJoin, `{"room":"document.notes"}`, CodeBadPayload},
		"document":               {TypeDocumentOpen, `{"document":"notes","after":7,"savedId":"x"}`, ""},
		"document, no name":      {TypeDocumentOpen, `{}`, CodeBadPayload},
		"document, bad name":     {TypeDocumentOpen, `{"document":"my notes"}`, CodeBadPayload},
		"document, longest":      {TypeDocumentClose, `{"document":"` + strings.Repeat("d", MaxRoomBytes-9) + `"}`, ""},
		"document, too long":     {TypeDocumentClose, `{"document":"` + strings.Repeat("d", MaxRoomBytes-8) + `"}`, CodeBadPayload},
		"edit":                   {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"insert":"👋"},{"retain":1},{"delete":2}]}`, ""},
		"edit, nothing":          {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"retain":1}]}`, CodeBadPayload},
		"edit, empty":            {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{}]}`, CodeBadPayload},
		"edit, two in one":       {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"retain":1,"delete":1}]}`, CodeBadPayload},
		"edit, back":             {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"delete":-1}]}`, CodeBadPayload},
		"edit, too far":          {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"delete":9223372036854775807}]}`, CodeBadPayload},
		"edit, half a character": {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"insert":"\ud83d"}]}`, CodeBadPayload},
		"edit, forged":           {TypeDocumentEdit, `{"document":"notes","version":0,"operations":[{"insert":"a"}],"user":"root"}`, CodeBadPayload},
		"cursor":                 {TypeDocumentCursor, `{"document":"notes","version":0,"start":1,"end":1}`, ""},
		"cursor, back":           {TypeDocumentCursor, `{"document":"notes","version":0,"start":2,"end":1}`, CodeBadPayload},
		"cursor, forged":         {TypeDocumentCursor, `{"document":"notes","version":0,"start":1,"end":1,"gone":true}`, CodeBadPayload},
		"message, forged saved":  {TypeMessage, `{"room":"lobby","text":"hi","savedId":"1"}`, CodeBadPayload},
	} {
		t.Run(name, func(t *testing.T) {
			env := Envelope{Type: tc.typ, Payload: json.RawMessage(tc.payload)}
			if got := codeOf(t, decodePayload(&env)); got != tc.code {
				t.Errorf("code %q, want %q", got, tc.code)
			}
		})
	}
}

func TestReasonsNeverQuoteTheClient(t *testing.T) {
	const secret = "hunter2"
	for _, in := range []string{
		`{"` + secret + `":1}`,
		`{"type":"` + secret + `","timestamp":"2026-01-02T15:04:05Z","messageId":"` + id + `"}`,
		`{"timestamp":"` + secret + `"}`,
		`{"messageId":"` + secret + `"}`,
		`{"seq":"` + secret + `"}`,
		secret,
	} {
		if _, err := Decode([]byte(in)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Decode(%s) = %v: want an error without the client's words", in, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"Ada": true, "Ada Lovelace": true, "Ярослав": true, strings.Repeat("ü", MaxNameRunes): true,
		"": false, " ": false, " Ada": false, "a\nb": false, "\xff": false, strings.Repeat("ü", MaxNameRunes+1): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v, want ok %t", name, err, ok)
		}
	}
}

func TestEncodeAndBack(t *testing.T) {
	env, err := New(TypeMessage, "", MessagePayload{Room: "lobby", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	env.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	frame, err := env.Frame()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(frame.Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(env, got); diff != "" {
		t.Errorf("the envelope changed on its way (-sent +read):\n%s", diff)
	}
	if env.Timestamp.Location() != time.UTC {
		t.Errorf("timestamp in %v, want UTC", env.Timestamp.Location())
	}
}

// FuzzDecode looks for frames that crash the decoder, are refused without a code, or change their meaning when they are
// written again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(frame("message", `{"room":"lobby","text":"hi"}`)))
	f.Add([]byte(frame("join", `{"room":"lobby"}`)))
	f.Add([]byte(frame("leave", `{"room":4}`)))
	f.Add([]byte(frame("history", `{"room":"lobby","after":3,"limit":10}`)))
	f.Add([]byte(frame("read", `{"room":"lobby","seq":3}`)))
	f.Add([]byte(frame("subscribe", `{"stream":"market"}`)))
	f.Add([]byte(frame("document_edit", `{"document":"a","version":1,"operations":[{"retain":1},{"insert":"x"},{"delete":1}]}`)))
	f.Add([]byte(`{"type":"ping"}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := Decode(data)
		if codeOf(t, err) != "" {
			return
		}
		if codeOf(t, decodePayload(&env)) != "" {
			return
		}
		again, err := env.Frame()
		if err != nil {
			t.Fatalf("an accepted frame can't be encoded: %v", err)
		}
		if _, err := Decode(again.Data); err != nil {
			t.Fatalf("an accepted frame is refused after encoding: %v\n%s", err, again.Data)
		}
	})
}

func decodePayload(env *Envelope) (err error) {
	switch env.Type {
	case TypeAuth:
		_, err = env.Auth()
	case TypeJoin:
		_, err = env.Join()
	case TypeLeave:
		_, err = env.Leave()
	case TypeMessage:
		_, err = env.Message()
	case TypeTyping:
		_, err = env.Typing()
	case TypeRead:
		_, err = env.Read()
	case TypeHistory:
		_, err = env.History()
	case TypeSubscribe, TypeUnsubscribe:
		_, err = env.Stream()
	case TypeNotify:
		_, err = env.Notify()
	case TypeGameInput:
		_, err = env.GameInput()
	case TypeDocumentOpen:
		_, err = env.DocumentOpen()
	case TypeDocumentClose:
		_, err = env.DocumentClose()
	case TypeDocumentEdit:
		_, err = env.DocumentEdit()
	case TypeDocumentCursor:
		_, err = env.DocumentCursor()
	}
	return err
}

// FuzzGameInput has what steers a player be refused, or be a direction.
func FuzzGameInput(f *testing.F) {
	f.Add([]byte(`{"x":-1,"y":1,"ack":7}`))
	f.Add([]byte(`{"x":1e0,"y":-0,"ack":18446744073709551615}`))
	f.Add([]byte(`{"x":2,"y":0}`))
	f.Add([]byte(`{"x":1,"x":-1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		env := Envelope{Type: TypeGameInput, Payload: payload}
		p, err := env.GameInput()
		if codeOf(t, err) != "" {
			return
		}
		if p.X < -1 || p.X > 1 || p.Y < -1 || p.Y > 1 {
			t.Errorf("%s is taken for %+v", payload, p)
		}
	})
}

// codeOf returns the code of a refusal and fails on any other kind of error.
func codeOf(t *testing.T, err error) Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var p *RefusalError
	if !errors.As(err, &p) || p.Code == "" || p.Reason == "" {
		t.Fatalf("%v (%T) is not a *RefusalError with code and reason", err, err)
	}
	return p.Code
}
