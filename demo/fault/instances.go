package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

const (
	// channelOrders is where instances hear what the others ask of them. Each answers into a list of the order's own.
	channelOrders = "sockscope.faults"
	// answerTimeout is how long an instance may take for the next answer. Redis counts it in whole seconds.
	answerTimeout = time.Second
	// keepAnswers is how long answers last that nobody fetches.
	keepAnswers = 10 * time.Second
)

// instances are those of a service that is behind one address. They speak by Redis itself, and not by a connection that
// faults of the service break.
type instances struct {
	client redis.UniversalClient
	own    string // this instance's name
}

// order asks every instance which faults are on there, and before that to turn one on or off if it names one.
type order struct {
	ID       string
	From     string
	Name     string
	On       bool
	Strength float64
	Duration time.Duration
}

// answer is what an instance says to an order.
type answer struct {
	Instance string
	On       []string // faults that are on
	Error    string   // why the order was not obeyed
}

// Join makes the API one of several instances of a service, which share what client is connected to. Call it before
// Handler, and Run while the service runs.
func (a *API) Join(client redis.UniversalClient, instance string) {
	a.instances = &instances{client, instance}
}

// Run obeys other instances until ctx ends. Without Join it does nothing.
func (a *API) Run(ctx context.Context) {
	if a.instances == nil {
		return
	}
	orders := a.instances.client.Subscribe(ctx, channelOrders)
	defer func() { _ = orders.Close() }() // nothing is lost by an error
	incoming := orders.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-incoming:
			if !ok {
				return
			}
			a.obey(ctx, []byte(m.Payload))
		}
	}
}

// obey does what an order says, unless it is this instance's own, and answers it.
func (a *API) obey(ctx context.Context, data []byte) {
	var o order
	if err := json.Unmarshal(data, &o); err != nil {
		return // another release's
	}
	said := answer{Instance: a.instances.own}
	if o.From != a.instances.own && o.Name != "" {
		if err := a.do(o); err != nil {
			said.Error = err.Error()
		}
	}
	for _, s := range a.switches {
		if s.On() {
			said.On = append(said.On, s.Name)
		}
	}
	data, err := json.Marshal(said)
	if err != nil {
		return // text and names can be encoded
	}
	key := channelOrders + ":" + o.ID
	_, _ = a.instances.client.Pipelined(ctx, func(p redis.Pipeliner) error { // without an answer the other reports it
		p.RPush(ctx, key, data)
		p.Expire(ctx, key, keepAnswers)
		return nil
	})
}

// do turns a fault on or off here.
func (a *API) do(o order) error {
	i := slices.IndexFunc(a.switches, func(s *Switch) bool { return s.Name == o.Name })
	if i < 0 {
		return fmt.Errorf("there is no fault %.64s", o.Name)
	}
	if !o.On {
		a.switches[i].TurnOff()
		return nil
	}
	_, err := a.start(a.switches[i], o.Strength, o.Duration)
	return err
}

// ask gives all instances an order and returns their answers, this one's included. With an error some have not
// answered.
func (n *instances) ask(ctx context.Context, o order) ([]answer, error) {
	o.ID, o.From = uuid.NewString(), n.own
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("ask the other instances: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	listening, err := n.client.Publish(ctx, channelOrders, data).Result()
	if err != nil {
		return nil, fmt.Errorf("ask the other instances: %w", err)
	}
	var answers []answer
	for len(answers) < int(listening) {
		next, err := n.client.BLPop(ctx, answerTimeout, channelOrders+":"+o.ID).Result()
		if errors.Is(err, redis.Nil) {
			err = errors.New("no answer")
		}
		if err != nil {
			return answers, fmt.Errorf("ask the other instances: %d of %d have answered: %w", len(answers), listening, err)
		}
		var said answer
		if err := json.Unmarshal([]byte(next[1]), &said); err != nil {
			return answers, fmt.Errorf("ask the other instances: %w", err)
		}
		answers = append(answers, said)
	}
	return answers, nil
}

// withInstances gives all instances an order, which may be the zero value, adds to states which of them have the fault,
// and returns the names of all that answer. An error tells which have not answered or not obeyed.
func (a *API) withInstances(ctx context.Context, o order, states []State) (names []string, err error) {
	if a.instances == nil {
		return nil, nil
	}
	answers, err := a.instances.ask(ctx, o)
	for _, said := range answers {
		names = append(names, said.Instance)
		if said.Error != "" {
			err = errors.Join(err, fmt.Errorf("%s: %s", said.Instance, said.Error))
		}
		for i := range states {
			if slices.Contains(said.On, states[i].Name) {
				states[i].Instances = append(states[i].Instances, said.Instance)
			}
		}
	}
	for i := range states {
		slices.Sort(states[i].Instances)
	}
	slices.Sort(names)
	return names, err
}
