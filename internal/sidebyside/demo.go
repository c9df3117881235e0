package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/internal/process"
	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

// subject is a running demo, and perhaps an nginx before it.
type subject struct {
	*process.Process
	nginx  *process.Process // nil without
	tokens *auth.Authority
	direct upstream.Server // for publishers
	server upstream.Server // for subscribers
	dialer transport.Dialer
}

// start runs a demo whose limits are in nobody's way.
func (p *plan) start(ctx context.Context, nginx string) (*subject, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	key := []byte(hex.EncodeToString(secret))
	tokens, err := auth.New(key)
	if err != nil {
		return nil, err
	}
	s := &subject{tokens: tokens}
	grpc, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.Process, err = process.Start(ctx, "the demo", func(dir, address string) ([]string, error) {
		file := filepath.Join(dir, "key")
		args := []string{
			p.sockscope, "demo", "--listen=" + address, "--grpc-listen=" + grpc, "--auth-key-file=" + file,
			"--history=" + filepath.Join(dir, "history.db"), "--message-rate=1e6", "--message-burst=1000000",
			"--poll-rate=1e6", "--log-level=warn", "--drain-spread=1ms",
		}
		if p.heartbeat > 0 {
			args = append(args, "--heartbeat="+p.heartbeat.String())
		}
		return args, os.WriteFile(file, key, 0o600)
	})
	if err != nil {
		return nil, err
	}
	s.direct, err = upstream.Parse("ws://" + s.Address)
	s.direct = s.direct.WithGRPC(grpc)
	s.server = s.direct
	if err == nil && nginx != "" {
		err = s.putBehind(ctx, nginx, grpc)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// nginxConf is what deploy/nginx has for several instances, for one, and gRPC.
const nginxConf = `daemon off;
pid DIR/pid;
error_log DIR/error.log warn;
worker_processes auto;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
    access_log off;
    client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
    upstream demo { server DEMO; keepalive 32; }
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    server {
        listen ADDRESS backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Host $http_host;
        proxy_read_timeout 5m;
        location / { proxy_pass http://demo; }
        location = /events { proxy_pass http://demo; proxy_buffering off; }
    }
    server {
        listen RPCS http2 backlog=4096;
        grpc_read_timeout 5m;
        location / { grpc_pass grpc://DEMOGRPC; }
    }
}
`

// putBehind puts the demo behind an nginx.
func (s *subject) putBehind(ctx context.Context, nginx, grpc string) error {
	rpcs, err := freeAddress()
	if err != nil {
		return err
	}
	s.nginx, err = process.Start(ctx, "nginx", func(dir, address string) ([]string, error) {
		conf := strings.NewReplacer("DIR", dir, "DEMOGRPC", grpc, "DEMO", s.Address, "ADDRESS", address, "RPCS", rpcs).Replace(nginxConf)
		file := filepath.Join(dir, "nginx.conf")
		return []string{nginx, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}, os.WriteFile(file, []byte(conf), 0o600)
	})
	if err != nil {
		return err
	}
	s.server, err = upstream.Parse("ws://" + s.nginx.Address)
	s.server = s.server.WithGRPC(rpcs)
	return err
}

func (s *subject) stop() {
	if s.nginx != nil {
		s.nginx.Stop()
	}
	s.Stop()
}

// dial connects a user.
func (s *subject) dial(ctx context.Context, over transport.Name, to upstream.Server, user int, received *atomic.Int64) (transport.Conn, error) {
	token, err := s.tokens.Issue(fmt.Sprintf("user-%d", user), nil, time.Hour)
	if err != nil {
		return nil, err
	}
	return s.dialer.Dial(ctx, over, transport.Options{Server: to, Authorization: "Bearer " + token, Received: received})
}
