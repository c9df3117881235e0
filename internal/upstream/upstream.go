// Package upstream is a demo as its clients see it: the addresses of its parts, given the address of its WebSocket, and
// how to get tokens for it.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
)

// socketPath is the path of a demo's WebSocket, below any path that a load balancer has put before it.
const socketPath = "/ws"

// lifetime is the lifetime of tokens made from a key.
const lifetime = time.Hour

// Server is the address of a demo. The zero value has no address.
type Server struct {
	socket url.URL
	grpc   string
}

// Parse reads the address of a WebSocket, such as ws://127.0.0.1:8080/ws. The path may be left out.
func Parse(address string) (Server, error) {
	u, err := url.Parse(address)
	switch {
	case err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != ""): // maybe secret, and not to be repeated
		return Server{}, errors.New("the address of a WebSocket has no user, query or fragment here: " +
			"give scheme, host and path alone")
	case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
		return Server{}, fmt.Errorf("%q is not the address of a WebSocket: give one such as ws://127.0.0.1:8080/ws",
			address)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if u.Path == "" {
		u.Path = socketPath
	}
	if !strings.HasSuffix(u.Path, socketPath) {
		return Server{}, fmt.Errorf("%q does not end in %s: give the address of the demo's WebSocket", address, socketPath)
	}
	return Server{socket: *u}, nil
}

// Socket returns the address of the WebSocket.
func (s Server) Socket() string { return s.socket.String() }

// WithGRPC returns the same server with the address of its gRPC, as host and port. It has TLS if the WebSocket has.
func (s Server) WithGRPC(address string) Server {
	s.grpc = address
	return s
}

// GRPC returns the address of the server's gRPC, empty if that is not known.
func (s Server) GRPC() string { return s.grpc }

// TLS reports whether connections to the server are encrypted.
func (s Server) TLS() bool { return s.socket.Scheme == "wss" }

// Host returns host and port.
func (s Server) Host() string { return s.socket.Host }

// HTTP returns the address of another part of the same server, given its path on the server itself.
func (s Server) HTTP(path string) string {
	u := s.socket
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.Path = strings.TrimSuffix(u.Path, socketPath) + path
	return u.String()
}

// FreshClient returns an HTTP client that makes a new connection for each request and keeps none.
func FreshClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return &http.Client{Transport: transport}
}

// Tokens returns a token for a user on a server.
type Tokens func(ctx context.Context, s Server, user string) (string, error)

// TokensFrom makes tokens from the key in a file. Without a file it asks the server for them. A demo without a key file
// gives tokens to callers on its machine.
func TokensFrom(keyFile string) (Tokens, error) {
	if keyFile == "" {
		client := FreshClient()
		return func(ctx context.Context, s Server, user string) (string, error) {
			return auth.RequestToken(ctx, client, s.HTTP("/auth/token"), user)
		}, nil
	}
	key, err := auth.LoadKey(keyFile)
	if err != nil {
		return nil, err
	}
	authority, err := auth.New(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	return func(_ context.Context, _ Server, user string) (string, error) {
		return authority.Issue(user, nil, lifetime)
	}, nil
}
