package load

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

//go:embed scenarios/*.yaml
var embedded embed.FS

// Scenario says what load to make; the package documentation has the meaning of the fields.
type Scenario struct {
	Name     string        `yaml:"-"`
	About    string        `yaml:"about"`
	Duration time.Duration `yaml:"duration"`
	Groups   []Group       `yaml:"groups"`
}

// Group is a number of connections that behave alike.
type Group struct {
	Name        string         `yaml:"name"`
	Does        Behaviour      `yaml:"does"`
	Transport   transport.Name `yaml:"transport"`
	Connections int            `yaml:"connections"`
	Ramp        time.Duration  `yaml:"ramp"`
	Rooms       int            `yaml:"rooms"`
	Rate        float64        `yaml:"rate"`
	Text        int            `yaml:"text"`
	Lifetime    time.Duration  `yaml:"lifetime"`
	Storm       time.Duration  `yaml:"storm"`
	Read        int            `yaml:"read"`
	Vanish      time.Duration  `yaml:"vanish"`
}

// Behaviour is what the connections of a group do.
type Behaviour string

// The behaviours.
const (
	Chat      Behaviour = "chat"
	Feed      Behaviour = "feed"
	Idle      Behaviour = "idle"
	Malformed Behaviour = "malformed"
	Oversize  Behaviour = "oversize"
	BadToken  Behaviour = "bad-token"
)

const (
	defaultText = len(quote)
	// connectionsPerRoom is how many share a room where nothing else is said.
	connectionsPerRoom = 10
	// maxGroups and maxMessages bound what an id can tell apart, and the memory of keeping account: 8 bytes a message.
	maxGroups   = 100
	maxMessages = 100_000_000
)

// Scenarios returns the scenarios that come along, in the order of their names.
func Scenarios() ([]Scenario, error) {
	names, err := fs.Glob(embedded, "scenarios/*.yaml")
	if err != nil {
		return nil, err
	}
	all := make([]Scenario, 0, len(names))
	for _, name := range names {
		s, err := FindScenario(strings.TrimSuffix(path.Base(name), ".yaml"))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// FindScenario returns the scenario that comes along under a name or, if there is a dot or a slash in it, is in the
// file of that name.
func FindScenario(name string) (Scenario, error) {
	var data []byte
	var err error
	if strings.ContainsAny(name, "./") {
		if data, err = os.ReadFile(name); err != nil {
			return Scenario{}, fmt.Errorf("read a scenario: %w", err)
		}
	} else if data, err = embedded.ReadFile("scenarios/" + name + ".yaml"); err != nil {
		return Scenario{}, fmt.Errorf("no scenario %q comes along: see load --list, or give a file as in ./%[1]s.yaml", name)
	}
	s, err := ParseScenario(data)
	if err != nil {
		return Scenario{}, fmt.Errorf("scenario %s: %w", name, err)
	}
	s.Name = strings.TrimSuffix(path.Base(name), path.Ext(name))
	return s, nil
}

// ParseScenario reads a scenario. A field that is not known is an error.
func ParseScenario(data []byte) (Scenario, error) {
	var s Scenario
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return Scenario{}, fmt.Errorf("read the YAML: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Scenario{}, errors.New("there is more than one document: put one scenario into a file")
	}
	return s, s.check()
}

// Scale returns the scenario with that many connections and that rate in all, shared out as they were, and its chats in
// that many rooms. 0 leaves things as they are; rooms then grow and shrink with the connections.
func (s Scenario) Scale(connections int, rate float64, rooms int) (Scenario, error) {
	if connections < 0 || !(rate >= 0) || rooms < 0 {
		return s, errors.New("connections, rate and rooms can't be negative")
	}
	haveConnections, haveRate := s.connections(), s.rate()
	scaled := s
	scaled.Groups = make([]Group, len(s.Groups))
	for i, g := range s.Groups {
		if connections > 0 && g.Connections > 0 {
			factor := float64(connections) / float64(haveConnections)
			g.Connections = max(1, int(math.Round(float64(g.Connections)*factor)))
			if g.Rooms > 1 {
				g.Rooms = min(max(1, int(math.Round(float64(g.Rooms)*factor))), g.Connections)
			}
		}
		if rate > 0 && haveRate > 0 {
			g.Rate = rate * g.Rate / haveRate
		}
		if rooms > 0 && g.Does == Chat {
			g.Rooms = rooms
		}
		scaled.Groups[i] = g
	}
	return scaled, scaled.check()
}

// Over returns the scenario with all groups on that transport. Clients that poll can't send, so of a group that sends
// one connection for each room stays on a WebSocket and sends all.
func (s Scenario) Over(name transport.Name) (Scenario, error) {
	var groups []Group
	for _, g := range s.Groups {
		if !name.Sends() && g.Does == Chat && g.Rate > 0 {
			senders := g
			senders.Name, senders.Rooms = g.Name+", sending", g.rooms()
			senders.Connections = senders.Rooms
			groups = append(groups, senders)
			g.Rate, g.Rooms, g.Connections = 0, senders.Rooms, max(senders.Rooms, g.Connections-senders.Connections)
		}
		g.Transport = name
		groups = append(groups, g)
	}
	s.Groups = groups
	return s, s.check()
}

// uses reports whether a group is on that transport.
func (s Scenario) uses(name transport.Name) bool {
	return slices.ContainsFunc(s.Groups, func(g Group) bool { return g.Transport.String() == name.String() })
}

func (s Scenario) connectionsOver(name transport.Name) (n int) {
	for _, g := range s.Groups {
		if g.Transport.String() == name.String() {
			n += g.Connections
		}
	}
	return n
}

func (s Scenario) connections() (n int) {
	for _, g := range s.Groups {
		n += g.Connections
	}
	return n
}

func (s Scenario) rate() (r float64) {
	for _, g := range s.Groups {
		r += g.Rate
	}
	return r
}

// rooms is how many rooms there are in all.
func (s Scenario) rooms() (n int) {
	for _, g := range s.Groups {
		n = max(n, g.rooms())
	}
	return n
}

func (s Scenario) check() error {
	switch {
	case s.Duration <= 0:
		return fmt.Errorf("a duration of %v: give more than 0, as in 30s", s.Duration)
	case len(s.Groups) == 0 || len(s.Groups) > maxGroups:
		return fmt.Errorf("there are %d groups: give 1 to %d", len(s.Groups), maxGroups)
	}
	messages := 0.0
	for _, g := range s.Groups {
		if err := g.check(); err != nil {
			return fmt.Errorf("group %q: %w", g.Name, err)
		}
		messages += g.Rate * s.Duration.Seconds()
	}
	if messages > maxMessages {
		return fmt.Errorf("this would make more than %d messages to keep account of: take a lower rate or a shorter time",
			maxMessages)
	}
	return nil
}

func (g Group) check() error {
	switch {
	case g.Name == "":
		return errors.New("name is missing")
	case g.Does != Chat && g.Does != Feed && g.Does != Idle && !g.provokes():
		return fmt.Errorf("does is %q: give %s, %s, %s, %s, %s or %s",
			g.Does, Chat, Feed, Idle, Malformed, Oversize, BadToken)
	case g.Does == BadToken && g.Connections != 0:
		return errors.New("has connections, but none of its handshakes makes one: leave them out")
	case g.Does != BadToken && g.Connections < 1:
		return fmt.Errorf("%d connections: give 1 or more", g.Connections)
	case !(g.Rate >= 0) || math.IsInf(g.Rate, 1):
		return fmt.Errorf("a rate of %v per second: give 0 or more", g.Rate)
	case g.Rate == 0 && g.provokes():
		return fmt.Errorf("does %s at no rate: give one", g.Does)
	case g.Rate > 0 && (g.Does == Feed || g.Does == Idle):
		return fmt.Errorf("does %s, which sends nothing: leave the rate out", g.Does)
	case g.Does != Chat && (g.Rooms != 0 || g.Text != 0):
		return fmt.Errorf("does %s, which is in no room: leave rooms and text out", g.Does)
	case g.Rooms < 0 || g.Rooms > g.Connections:
		return fmt.Errorf("%d rooms: give 1 to as many as there are connections (%d)", g.Rooms, g.Connections)
	case g.Text < 0 || g.Text > wire.MaxTextBytes:
		return fmt.Errorf("a text of %d bytes: give 1 to %d", g.Text, wire.MaxTextBytes)
	case g.Ramp < 0 || g.Lifetime < 0 || g.Storm < 0 || g.Vanish < 0 || g.Read < 0:
		return errors.New("ramp, lifetime, storm, vanish and read can't be negative")
	case g.Vanish > 0 && (g.Rate > 0 || g.Lifetime > 0 || g.Storm > 0):
		return errors.New("who vanishes neither sends nor comes back: leave rate, lifetime and storm out")
	case g.provokes() && (g.Lifetime > 0 || g.Storm > 0 || g.Read > 0 || g.Vanish > 0):
		return fmt.Errorf("does %s, which says all about its connections: leave lifetime, storm, read and vanish out", g.Does)
	}
	return g.checkTransport()
}

// checkTransport reports what the group's transport can't do.
func (g Group) checkTransport() error {
	switch over := g.Transport; {
	case over.String() != transport.WebSocket.String() && g.provokes():
		return fmt.Errorf("does %s, which is about WebSockets, over %s: leave transport out", g.Does, over)
	case !over.Sends() && g.Rate > 0:
		return fmt.Errorf("has a rate, but clients over %s can't send: leave the rate out, and have another group send", over)
	case !over.Sends() && g.Does != Chat:
		return fmt.Errorf("does %s, but clients over %s only listen to a room: give %s", g.Does, over, Chat)
	case !over.Sends() && g.lenient():
		return fmt.Errorf("reads slowly or vanishes, but clients over %s have no connection for that: leave read and vanish out", over)
	}
	return nil
}

// provokes reports whether the group does what has to be refused.
func (g Group) provokes() bool {
	return g.Does == Malformed || g.Does == Oversize || g.Does == BadToken
}

// lenient reports whether the group's connections may miss things and be disconnected.
func (g Group) lenient() bool { return g.Read > 0 || g.Vanish > 0 }

func (g Group) rooms() int {
	switch {
	case g.Does != Chat:
		return 0
	case g.Rooms > 0:
		return g.Rooms
	}
	return (g.Connections + connectionsPerRoom - 1) / connectionsPerRoom
}
