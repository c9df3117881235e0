package presence

import (
	"slices"
	"strings"
)

// rooms has the members of each room in order of their names. A room without members isn't there.
type rooms map[string][]member

// member is a user in a room and on how many nodes they are in it.
type member struct {
	user  string
	nodes int
}

func (m member) compare(user string) int { return strings.Compare(m.user, user) }

// add counts one more node, and says whether it is the first.
func (r rooms) add(m membership) bool {
	members := r[m.room]
	i, found := slices.BinarySearchFunc(members, m.user, member.compare)
	if found {
		members[i].nodes++
		return false
	}
	r[m.room] = slices.Insert(members, i, member{user: m.user, nodes: 1})
	return true
}

// remove counts one node less, and says whether it was the last.
func (r rooms) remove(m membership) bool {
	members := r[m.room]
	i, found := slices.BinarySearchFunc(members, m.user, member.compare)
	if !found {
		return false
	}
	if members[i].nodes > 1 {
		members[i].nodes--
		return false
	}
	members = slices.Delete(members, i, i+1)
	switch {
	case len(members) == 0:
		delete(r, m.room)
	case len(members) < cap(members)/4: // a room that was large once
		r[m.room] = slices.Clone(members)
	default:
		r[m.room] = members
	}
	return true
}
