package main

import (
	"maps"
	"slices"
)

// names is a set of names.
type names map[string]bool

func (n names) sorted() []string { return slices.Sorted(maps.Keys(n)) }

// add puts a name into the set of a key.
func add(sets map[string]names, key, name string) {
	if sets[key] == nil {
		sets[key] = names{}
	}
	sets[key][name] = true
}
