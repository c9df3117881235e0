package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	// users is how many there are where the server is asked for tokens, which for each connection would take too long.
	users = 100
	// fresh is how long such a token is used, of the hour that it lasts.
	fresh = 30 * time.Minute
)

// tokens provides each connection with a token. Without an authority that issues them the servers are asked, and the
// connections share users.
type tokens struct {
	authority *auth.Authority
	servers   []upstream.Server // that issue tokens
	client    *http.Client

	mu    sync.Mutex
	known map[string]*token
}

type token struct {
	mu    sync.Mutex
	value string
	since time.Time
}

func newTokens(cfg Config) *tokens {
	return &tokens{
		authority: cfg.Authority, servers: cfg.servers,
		client: &http.Client{Transport: &http.Transport{}, Timeout: dialTimeout},
		known:  make(map[string]*token),
	}
}

// authorization returns what goes with the handshake of a connection.
func (t *tokens) authorization(ctx context.Context, connection int) (string, error) {
	token, err := t.get(ctx, connection)
	return "Bearer " + token, err
}

// get returns a token for a connection.
func (t *tokens) get(ctx context.Context, connection int) (string, error) {
	if t.authority != nil {
		return t.authority.Issue(t.user(connection), nil, t.authority.MaxLifetime)
	}
	k := t.of(connection)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != "" && time.Since(k.since) < fresh {
		return k.value, nil
	}
	value, err := t.request(ctx, t.user(connection))
	if err != nil {
		return "", err
	}
	k.value, k.since = value, time.Now()
	return value, nil
}

// forget has the next token of a connection be a new one.
func (t *tokens) forget(connection int) {
	k := t.of(connection)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.value = ""
}

func (t *tokens) of(connection int) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	user := t.user(connection)
	k := t.known[user]
	if k == nil {
		k = new(token)
		t.known[user] = k
	}
	return k
}

func (t *tokens) user(connection int) string {
	if t.authority == nil {
		connection %= users
	}
	return fmt.Sprintf("load-%d", connection)
}

// request asks one server after the other, some of which may be down.
func (t *tokens) request(ctx context.Context, user string) (value string, err error) {
	var failed error
	for _, server := range t.servers {
		if value, err = auth.RequestToken(ctx, t.client, server.HTTP("/auth/token"), user); err == nil {
			return value, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", fmt.Errorf("the server issues no token here, has it a key that can be given (--auth-key-file)? %w", failed)
}
