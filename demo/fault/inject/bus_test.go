package inject

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ponging returns the address of a Redis that answers pings and knows nothing else.
func ponging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					switch command := strings.ToLower(lines.Text()); command {
					case "ping":
						_, _ = fmt.Fprint(conn, "+PONG\r\n")
					case "hello", "client":
						_, _ = fmt.Fprint(conn, "-ERR unknown command\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestBackplaneClient looks at the options that the second client has, which are those of the first.
func TestBackplaneClient(t *testing.T) {
	t.Parallel()
	none := time.Duration(-1)
	for name, opts := range map[string]*redis.Options{
		"defaults": {},
		"none":     {MaxRetries: -1, ReadTimeout: none, WriteTimeout: none, MinRetryBackoff: none, MaxRetryBackoff: none},
		"blocking": {ReadTimeout: -2, WriteTimeout: -2},
		"given":    {MaxRetries: 7, ReadTimeout: time.Second, WriteTimeout: time.Minute, DB: 3, Username: "ada"},
	} {
		first := redis.NewClient(opts)
		defer first.Close()
		second, hangUp := newFaults(t, first).BusClient(first)
		defer hangUp()
		options := func(c redis.UniversalClient) redis.Options {
			o := *c.(*redis.Client).Options()
			return redis.Options{MaxRetries: o.MaxRetries, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
				MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff, DB: o.DB, Username: o.Username}
		}
		want, got := options(first), options(second)
		for _, pair := range [][2]any{
			{want.MaxRetries, got.MaxRetries}, {want.ReadTimeout, got.ReadTimeout}, {want.WriteTimeout, got.WriteTimeout},
			{want.MinRetryBackoff, got.MinRetryBackoff}, {want.MaxRetryBackoff, got.MaxRetryBackoff}, {want.DB, got.DB}, {want.Username, got.Username},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %v became %v", name, pair[0], pair[1])
			}
		}
	}
}

// TestBackplaneDials has a partition on before there is a connection.
func TestBackplaneDials(t *testing.T) {
	t.Parallel()
	first := redis.NewClient(&redis.Options{Addr: ponging(t), DialTimeout: time.Second, MaxRetries: -1, DialerRetries: 1})
	defer first.Close()
	f := newFaults(t, first)
	second, hangUp := f.BusClient(first)
	defer hangUp()
	if _, err := f.backplanePartition.TurnOn(1, time.Minute); err != nil {
		t.Fatal(err)
	}
	defer f.backplanePartition.TurnOff()
	if err := second.Ping(t.Context()).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("across the partition: %v, want a timeout", err)
	}
	if err := first.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the message store's client: %v", err)
	}
}

func TestNoBackplane(t *testing.T) {
	t.Parallel()
	many := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer many.Close()
	one := redis.NewClient(&redis.Options{})
	defer one.Close()
	for want, c := range map[string]redis.UniversalClient{"--redis": nil, "ClusterClient": many, "": one} {
		if got := noBackplane(c); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("a %T: %q, want it to say %q", c, got, want)
		}
	}
	c, hangUp := newFaults(t, many).BusClient(many)
	if err := hangUp(); err != nil || c != redis.UniversalClient(many) {
		t.Errorf("got a %T (%v), want the client that was given", c, err)
	}
}
