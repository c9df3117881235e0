package demo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// clientsOf is the variable that makes this program the clients of a benchmark's server. It has the server's address,
// their token, and how many there are of each transport.
const clientsOf = "SOCKSCOPE_BENCHMARK_CLIENTS_OF"

// said is in each message once, on every transport.
const said = `"hello"`

// clients are all clients of a server.
type clients struct {
	address, token string
	crowd

	got atomic.Int64 // messages
}

// runClients connects, and then reads whatever comes, and answers a number with a line when that many more messages
// have.
func runClients(text string) error {
	var c clients
	if _, err := fmt.Sscan(text, &c.address, &c.token, &c.sockets, &c.events, &c.polls); err != nil {
		return err
	}
	const socket = "GET /ws HTTP/1.1\r\nHost: demo\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	const events = "GET /events?room=lobby HTTP/1.1\r\nHost: demo\r\nAuthorization: Bearer %s\r\n\r\n"
	for i := range c.sockets + c.events {
		request, welcomed := socket, `"expires"`
		if i >= c.sockets {
			request, welcomed = events, `"success"`
		}
		if err := c.listen(fmt.Sprintf(request, c.token), welcomed); err != nil {
			return err
		}
	}
	for range c.polls {
		for _, path := range []string{"/poll?room=lobby&wait=60s", "/bare?"} {
			if err := c.poll(path); err != nil {
				return err
			}
		}
	}
	fmt.Println("connected")
	want := int64(0)
	for {
		var n int64
		if _, err := fmt.Scanln(&n); errors.Is(err, io.EOF) {
			return nil // the benchmark has ended
		} else if err != nil {
			return err
		}
		for want += n; c.got.Load() < want; {
			time.Sleep(20 * time.Microsecond)
		}
		fmt.Println("got it")
	}
}

// listen opens a connection on which messages come, and returns when it has been welcomed.
func (c *clients) listen(request, welcomed string) error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	buf := make([]byte, 1<<10)
	for text := ""; !strings.Contains(text, welcomed); {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("%w after %q", err, text)
		}
		text += string(buf[:n])
	}
	go func() {
		for rest := 0; ; {
			n, err := conn.Read(buf[rest:])
			if err != nil {
				return
			}
			text := buf[:rest+n]
			if found := bytes.Count(text, []byte(said)); found > 0 {
				c.got.Add(int64(found))
			}
			rest = copy(buf, text[max(0, len(text)-len(said)+1):]) // too short to be counted again
		}
	}()
	return nil
}

// poll starts a client that polls. Each poll asks for the messages after the last one received.
func (c *clients) poll(path string) error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	go func() {
		answers := bufio.NewReaderSize(conn, 1<<10)
		for after := 0; ; {
			if _, err := fmt.Fprintf(conn, "GET %s&after=%d HTTP/1.1\r\nHost: demo\r\nAuthorization: Bearer %s\r\n\r\n", path, after, c.token); err != nil {
				return
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				return
			}
			data, err := io.ReadAll(resp.Body)
			if err != nil {
				return
			}
			if resp.StatusCode != http.StatusOK {
				panic(string(data)) // the benchmark would wait for ever
			}
			found := bytes.Count(data, []byte(said))
			after += found
			c.got.Add(int64(found))
		}
	}()
	return nil
}
