package lint

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/contract"
)

// alike is from how much on a name is taken for another one that was meant.
const alike = 0.6

// words are those that people use for the same thing in names of metrics.
func words() map[string]string {
	return map[string]string{
		"ws": "websocket", "wss": "websocket", "websockets": "websocket", "socket": "websocket", "sockets": "websocket",
		"connection": "connections", "conn": "connections", "conns": "connections", "clients": "connections", "handshakes": "connections",
		"message": "messages", "msg": "messages", "msgs": "messages", "frames": "messages",
		"error": "errors", "err": "errors", "failures": "errors", "exceptions": "errors",
		"disconnects": "disconnections", "disconnection": "disconnections", "disconnected": "disconnections", "closes": "disconnections", "closed": "disconnections",
		"latency": "duration", "time": "duration", "processing": "duration", "handling": "duration", "elapsed": "duration",
		"current": "active", "open": "active", "opened": "active", "live": "active", "concurrent": "active",
		"ms": "seconds", "milliseconds": "seconds", "millis": "seconds", "millisecond": "seconds", "second": "seconds", "sec": "seconds", "secs": "seconds",
		"byte": "bytes", "received": "receive", "recv": "receive", "rx": "receive", "in": "receive",
		"sent": "transmit", "send": "transmit", "tx": "transmit", "out": "transmit",
		"pong": "rtt", "queued": "queue", "drops": "dropped", "ping": "ping", "pings": "ping",
	}
}

// parts takes a name apart. Words that say nothing of what is measured are left out.
func parts(name string) map[string]bool {
	set := make(map[string]bool)
	same := words()
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r == '_' || r == ':' }) {
		word = cmp.Or(same[word], word)
		switch word {
		case "total", "count", "counter", "number", "num", "of", "gauge":
			continue
		}
		set[word] = true
	}
	return set
}

// likeness is how much a metric of a page may be one of the contract: 1 is the same words, 0 is none of them.
func likeness(f *family, m contract.Metric) float64 {
	got, want := parts(f.name), parts(m.Name)
	common := 0
	for word := range got {
		if want[word] {
			common++
		}
	}
	score := float64(common) / float64(len(got)+len(want)-common)
	if f.kind != string(m.Type) && f.kind != untyped && (f.kind != "summary" || m.Type != contract.Histogram) {
		score -= 0.3
	}
	return score
}

// misnamed finds for metrics that are missing those of a page that may be meant, by the missing one's name. Each is
// meant for one only.
func misnamed(missing []contract.Metric, leftover []*family) map[string]*family {
	type pair struct {
		score float64
		m     contract.Metric
		f     *family
	}
	var pairs []pair
	for _, m := range missing {
		for _, f := range leftover {
			if score := likeness(f, m); score >= alike {
				pairs = append(pairs, pair{score, m, f})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		required := func(p pair) int {
			if p.m.Required {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.score, a.score), required(a)-required(b), cmp.Compare(a.m.Name, b.m.Name), cmp.Compare(a.f.name, b.f.name))
	})
	meant, used := make(map[string]*family), make(map[string]bool)
	for _, p := range pairs {
		if meant[p.m.Name] == nil && !used[p.f.name] {
			meant[p.m.Name], used[p.f.name] = p.f, true
		}
	}
	return meant
}

// labelInName returns the label that the words of a name stand for, as direction="receive" for received, empty if there
// is none.
func labelInName(c *contract.Contract, f *family, m contract.Metric) string {
	want := parts(m.Name)
	for _, word := range slices.Sorted(maps.Keys(parts(f.name))) {
		if want[word] {
			continue
		}
		for _, label := range m.LabelNames() {
			if slices.Contains(c.Values[m.Labels[label]].Closed, word) {
				return label + `="` + word + `"`
			}
		}
	}
	return ""
}

// nearest returns the word that differs least, if it differs by little, else nothing.
func nearest(word string, among []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, least := "", 1+len(word)/3
	for _, one := range among {
		if d := distance(word, one); d < least || d == least && best == "" {
			best, least = one, d
		}
	}
	return best
}

// distance is how many letters have to be added, left out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
