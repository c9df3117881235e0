package auth

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/demo/reply"
)

// devLifetime is how long a token lasts whose lifetime was not asked for.
const devLifetime = time.Hour

// DevHandler issues a token to every caller, so that you can try things without an identity provider. It is for
// development: put it behind loopback.Only where others can reach it:
//
//	POST {"user": "ann", "rooms": ["lobby", "private.ann"], "lifetime": "30m"}
//	200  {"token": "…", "expires": "2026-01-02T15:04:05Z"}
//
// Rooms and lifetime may be left out; a token then lasts an hour. The content type has to be application/json, which
// keeps pages of other origins from asking.
func (a *Authority) DevHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			reply.Refuse(w, http.StatusMethodNotAllowed, "POST asks for a token")
		case err != nil || media != "application/json":
			reply.Refuse(w, http.StatusUnsupportedMediaType, "the content type has to be application/json")
		default:
			a.issue(w, r)
		}
	})
}

func (a *Authority) issue(w http.ResponseWriter, r *http.Request) {
	var want struct {
		User     string   `json:"user"`
		Rooms    []string `json:"rooms"`
		Lifetime string   `json:"lifetime"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	dec.DisallowUnknownFields()
	err := dec.Decode(&want)
	if err == nil {
		_, err = dec.Token()
	}
	if !errors.Is(err, io.EOF) {
		reply.Refuse(w, http.StatusBadRequest, `send {"user": "ann", "rooms": ["lobby"], "lifetime": "30m"} and nothing else`)
		return
	}
	lifetime := min(devLifetime, a.MaxLifetime)
	if want.Lifetime != "" {
		if lifetime, err = time.ParseDuration(want.Lifetime); err != nil {
			reply.Refuse(w, http.StatusBadRequest, `lifetime has to be like "30m" or "8h"`)
			return
		}
	}
	token, err := a.Issue(want.User, want.Rooms, lifetime)
	if err != nil {
		reply.Refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	identity, err := a.Verify(token)
	if err != nil {
		reply.Refuse(w, http.StatusInternalServerError, "verify the new token: "+err.Error())
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"token": token, "expires": identity.Expires.UTC()})
}
