package auth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
)

func Example() {
	key, err := auth.LoadKey("") // a random one
	if err != nil {
		fmt.Println(err)
		return
	}
	authority, err := auth.New(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := authority.Issue("ann", []string{"lobby", "private.ann.*"}, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}

	handshake := func(protocols string) {
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.Header.Set("Sec-WebSocket-Protocol", protocols)
		token, err := auth.TokenFromRequest(r)
		if err == nil {
			var ann auth.Identity
			if ann, err = authority.Verify(token); err == nil {
				fmt.Println(ann.User, ann.MayEnter("private.ann.notes"), ann.MayEnter("private.bob"))
			}
		}
		var refused *auth.Error
		if errors.As(err, &refused) {
			fmt.Println(refused.Code)
		}
	}
	handshake("bearer." + token)
	handshake("bearer." + token + "x")
	handshake("")
	// Output:
	// ann true false
	// bad_signature
	// missing
}
