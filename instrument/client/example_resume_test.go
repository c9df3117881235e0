package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/client"
)

// gateway consumes a feed that hands out a token for each connection, and resumes: it tells the next connection where
// to go, and replays what was missed.
type gateway struct {
	tokens string // where to ask for one
	client *client.Client

	mu     sync.Mutex
	resume string // the address that the server has told, if any
}

type gatewayMessage struct {
	Op   string // event, resume-at or reconnect
	Seq  uint64
	Text string
}

func (g *gateway) feed() client.Feed {
	return client.Feed{
		Streams:   []client.Stream{{Name: "chat", Resume: true}},
		Subscribe: g.subscribe,
		Decode:    g.decode,
		Handle: func(_ context.Context, e client.Event) error {
			fmt.Println("handled", e.First, e.Value)
			return nil
		},
	}
}

// endpoint is asked before each attempt to connect.
func (g *gateway) endpoint(ctx context.Context) (client.Endpoint, error) {
	g.mu.Lock()
	address := g.resume
	g.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.tokens, nil)
	if err != nil {
		return client.Endpoint{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return client.Endpoint{}, err
	}
	defer response.Body.Close()
	var answer struct{ Address, Token string }
	if response.StatusCode == http.StatusForbidden {
		return client.Endpoint{}, client.Permanent(errors.New("the key was revoked"))
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return client.Endpoint{}, fmt.Errorf("token: %w", err)
	}
	if address == "" {
		address = answer.Address
	}
	return client.Endpoint{URL: address + "?token=" + url.QueryEscape(answer.Token)}, nil
}

func (g *gateway) subscribe(ctx context.Context, to client.Sender) error {
	return to.Send(ctx, websocket.MessageText, fmt.Appendf(nil, `{"op":"start","after":%d}`, g.client.LastNumber("chat")))
}

func (g *gateway) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	var m gatewayMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, err
	}
	switch m.Op {
	case "event":
		return append(events, client.Event{Stream: "chat", First: m.Seq, Value: m.Text}), nil
	case "resume-at":
		g.mu.Lock()
		g.resume = m.Text
		g.mu.Unlock()
	case "reconnect": // the server is about to be replaced
		g.client.Reconnect()
	}
	return events, nil
}

// A feed that wants a token in the URL of each connection, asks for reconnecting, and replays too much after that.
func Example_resume() {
	exchange := newVenue(nil, func(int) string { return "" })
	address := "ws" + exchange.URL[len("http"):]
	exchange.rest = func(request int) string {
		return fmt.Sprintf(`{"address":%q,"token":"t%d"}`, address+"/start", request)
	}
	exchange.socket = func(s *stall) {
		fmt.Println("connected at", s.target)
		s.hear()
		if s.number == 1 {
			s.say(fmt.Sprintf(`{"op":"resume-at","text":%q}`, address+"/resume"),
				`{"op":"event","seq":1,"text":"hello"}`, `{"op":"event","seq":2,"text":"how are you"}`)
			s.await(2)
			s.say(`{"op":"reconnect"}`)
			return
		}
		s.say(`{"op":"event","seq":2,"text":"how are you"}`, `{"op":"event","seq":3,"text":"well"}`)
		s.await(1)
		s.over()
	}
	g := &gateway{tokens: exchange.URL + "/tokens"}
	exchange.run(g.feed(), func(c *client.Client) { g.client = c }, client.WithEndpoint(g.endpoint))
	// Output:
	// connected at /start?token=t1
	// heard {"op":"start","after":0}
	// handled 1 hello
	// handled 2 how are you
	// connected at /resume?token=t2
	// heard {"op":"start","after":2}
	// handled 3 well
}
