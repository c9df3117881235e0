// Package progress describes what a running stack is doing. The stack writes it to a file. The desk and the commands
// about a stack read it.
package progress

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Stage is what the stack is doing about a service.
type Stage string

// The stages of a service, in the order in which they come. Restarting is the stage of a service that has died, until
// it is Ready again.
const (
	Waiting    Stage = "waiting"
	Building   Stage = "building"
	Starting   Stage = "starting"
	Ready      Stage = "ready"
	Restarting Stage = "restarting"
	Stopping   Stage = "stopping"
	Stopped    Stage = "stopped"
)

// Service describes one service of the stack.
type Service struct {
	Stage Stage `json:"stage"`
	// Detail says more, such as "compiling, 388 of 1,667 packages".
	Detail string `json:"detail,omitempty"`
	// Since is when this stage began.
	Since time.Time `json:"since"`
	// PID is its process, 0 while it has none.
	PID int `json:"pid,omitempty"`
	// WasReady says whether it was ready at any time since the stack's start. A service that was never ready is not
	// down.
	WasReady bool `json:"wasReady"`
}

// State describes the stack.
type State struct {
	// PID is the process that runs the stack.
	PID int `json:"pid"`
	// Started is when it was started. Together with PID it identifies a run.
	Started time.Time `json:"started"`
	// Complete says whether every service has been ready.
	Complete bool `json:"complete"`
	// Services are the parts of the stack, by name.
	Services map[string]Service `json:"services"`
}

// Read returns the state in the file.
func Read(file string) (State, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return State{}, fmt.Errorf("read what the stack is doing: %w", err)
	}
	var s State
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, fmt.Errorf("read what the stack is doing: %s: %w", file, err)
	}
	return s, nil
}

// Write replaces the file, so that a reader sees the old state or the new one.
func (s State) Write(file string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write what the stack is doing: %w", err)
	}
	partial, err := os.CreateTemp(filepath.Dir(file), ".progress-*")
	if err != nil {
		return fmt.Errorf("write what the stack is doing: %w", err)
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(content)
	if err = errors.Join(err, partial.Close()); err == nil {
		err = os.Rename(partial.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write what the stack is doing: %w", err)
	}
	return nil
}
