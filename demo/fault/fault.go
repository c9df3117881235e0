// Package fault makes a service misbehave on request: each fault has a strength and a duration, and heals by itself.
//
// A Switch only says how things are; the service asks it where the fault would strike in earnest, so that what is seen
// of it is seen through the ordinary code. An API lets people turn switches, and a Client is its other end.
package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// MaxDuration bounds how long a fault lasts unless it is renewed.
const MaxDuration = 30 * time.Minute

// Switch turns one kind of fault on and off.
type Switch struct {
	Name        string
	Description string
	Unit        string  // of the strength
	Min, Max    float64 // of the strength
	Unavailable string  // why the fault can't be turned on here and what would help; empty where it can

	now atomic.Pointer[episode]
}

// episode is one time that a fault is on. Its context ends with it.
type episode struct {
	context.Context
	heal     context.CancelFunc
	strength float64
	began    time.Time
	ends     time.Time
}

// State tells how a switch is.
type State struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Unit        string    `json:"unit"`
	Min         float64   `json:"min"`
	Max         float64   `json:"max"`
	Unavailable string    `json:"unavailable,omitempty"`
	On          bool      `json:"on"`
	Strength    float64   `json:"strength"`
	Began       time.Time `json:"began,omitzero"`
	Ends        time.Time `json:"ends,omitzero"`
	// Instances are those that have the fault, where there are several; the rest is of the one that was asked.
	Instances []string `json:"instances,omitempty"`
}

// TurnOn starts the fault, or replaces it where it is on already. The context that is returned lasts as long as the
// fault.
func (s *Switch) TurnOn(strength float64, d time.Duration) (context.Context, error) {
	if s.Unavailable != "" {
		return nil, fmt.Errorf("%s is not to be had: %s", s.Name, s.Unavailable)
	}
	// Written so that NaN is refused as well.
	if !(strength >= s.Min && strength <= s.Max) {
		return nil, fmt.Errorf("strength of %s is %v: give %v to %v %s", s.Name, strength, s.Min, s.Max, s.Unit)
	}
	if d <= 0 || d > MaxDuration {
		return nil, fmt.Errorf("duration of %s is %v: give more than 0 and at most %v", s.Name, d, MaxDuration)
	}
	ctx, heal := context.WithTimeout(context.Background(), d)
	now := time.Now()
	e := &episode{Context: ctx, heal: heal, strength: strength, began: now, ends: now.Add(d)}
	if before := s.now.Swap(e); before != nil {
		before.heal()
	}
	return ctx, nil
}

// TurnOff heals the fault at once.
func (s *Switch) TurnOff() {
	if before := s.now.Swap(nil); before != nil {
		before.heal()
	}
}

// Strength returns the strength of the fault, 0 while it is off.
func (s *Switch) Strength() float64 {
	if e := s.on(); e != nil {
		return e.strength
	}
	return 0
}

// On reports whether the fault is on.
func (s *Switch) On() bool { return s.on() != nil }

// Hits reports whether a fault whose strength is a share strikes this time, which is left to chance.
func (s *Switch) Hits() bool {
	e := s.on()
	return e != nil && rand.Float64() < e.strength
}

// Hold keeps its caller waiting while the fault is on, until ctx ends and no longer than atMost. While the fault is off
// it returns at once.
func (s *Switch) Hold(ctx context.Context, atMost time.Duration) {
	e := s.on()
	if e == nil {
		return
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.Done():
	case <-ctx.Done():
	}
}

// State tells how the switch is.
func (s *Switch) State() State {
	st := State{Name: s.Name, Description: s.Description, Unit: s.Unit, Min: s.Min, Max: s.Max, Unavailable: s.Unavailable}
	if e := s.on(); e != nil {
		st.On, st.Strength, st.Began, st.Ends = true, e.strength, e.began, e.ends
	}
	return st
}

func (s *Switch) on() *episode {
	e := s.now.Load()
	if e == nil || e.Err() != nil {
		return nil
	}
	return e
}
