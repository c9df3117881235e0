// Package status watches whether the stack's components are ready.
package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
)

// maxComponents bounds how many endpoints are polled.
const maxComponents = 64

// Component is one part of the stack.
type Component struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Version  string `json:"version,omitempty"`
	Address  string `json:"address,omitempty"`  // what a person opens
	Ready    string `json:"ready"`              // what is polled: 200 is ready
	See      string `json:"see,omitempty"`      // what the address shows
	Optional bool   `json:"optional,omitempty"` // may be absent, which is no fault
}

// Load reads files with a JSON array of components each, and checks that they go together.
func Load(files ...string) ([]Component, error) {
	var all []Component
	for _, file := range files {
		list, err := load(file)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if err := check(all); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return all, nil
}

func load(file string) ([]Component, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the list of components: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var list []Component
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: not a JSON array of components: %w", file, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: something follows the JSON array", file)
	}
	return list, nil
}

func check(list []Component) error {
	if len(list) > maxComponents {
		return fmt.Errorf("%d components, at most %d are watched", len(list), maxComponents)
	}
	seen := map[string]bool{}
	for i, c := range list {
		switch {
		case c.Name == "":
			return fmt.Errorf("component %d has no name", i+1)
		case seen[c.Name]:
			return fmt.Errorf("two components are named %q", c.Name)
		case c.Title == "":
			return fmt.Errorf("component %q has no title", c.Name)
		case !isHTTP(c.Ready):
			return fmt.Errorf("component %q: ready is %q, which is not an http URL", c.Name, c.Ready)
		case c.Address != "" && !isHTTP(c.Address):
			return fmt.Errorf("component %q: address is %q, which is not an http URL", c.Name, c.Address)
		}
		seen[c.Name] = true
	}
	return nil
}

func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
