package presence

import "github.com/tidwall/btree"

// rooms has the members of each room. A room without members isn't there.
type rooms map[string]*members

// members are users, in order, and on how many nodes each is. In a tree a large room costs no more than a small one,
// even if it empties at once.
type members = btree.Map[string, int]

// add counts one more node, and says whether it is the first.
func (r rooms) add(m membership) bool {
	in, ok := r[m.room]
	if !ok {
		in = new(members)
		r[m.room] = in
	}
	nodes, there := in.Get(m.user)
	in.Set(m.user, nodes+1)
	return !there
}

// remove counts one node less, and says whether it was the last.
func (r rooms) remove(m membership) bool {
	in, ok := r[m.room]
	if !ok {
		return false
	}
	nodes, there := in.Get(m.user)
	if nodes > 1 {
		in.Set(m.user, nodes-1)
		return false
	}
	in.Delete(m.user)
	if in.Len() == 0 {
		delete(r, m.room)
	}
	return there
}

// first returns the names of the first users of a room, at most limit, and how many there are.
func (r rooms) first(room string, limit int) (names []string, total int) {
	in, ok := r[room]
	if !ok {
		return []string{}, 0
	}
	total = in.Len()
	names = make([]string, 0, min(total, max(limit, 0)))
	in.Scan(func(user string, _ int) bool {
		if len(names) == cap(names) {
			return false
		}
		names = append(names, user)
		return true
	})
	return names, total
}
