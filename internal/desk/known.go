package desk

import (
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/contract"
)

// known are the names of the contract that the forms offer, each with "=" and, where these are known, one of its
// values.
type known struct {
	fields     []string // of log records
	attributes []string // of spans
}

// loadKnown reads the names from the contract of this version of the program.
func loadKnown() (known, error) {
	c, err := contract.Load()
	if err != nil {
		return known{}, err
	}
	var k known
	for _, part := range c.Parts {
		for _, r := range part.Records {
			for _, name := range slices.Concat(r.Always, r.Sometimes) {
				if !hasEntry(name) {
					k.fields = append(k.fields, offers(c, part, name)...)
				}
			}
		}
		for _, s := range part.Spans {
			for _, name := range slices.Concat(s.Always, s.Sometimes) {
				k.attributes = append(k.attributes, offers(c, part, name)...)
			}
		}
	}
	for _, list := range []*[]string{&k.fields, &k.attributes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return k, nil
}

// hasEntry tells whether the form for log records has an entry of its own for a field.
func hasEntry(field string) bool {
	return slices.Contains([]string{"trace_id", "span_id", "connection_id", "service"}, field)
}

// offers returns what a name can be. A field has the values of the label of that name.
func offers(c *contract.Contract, part contract.Part, name string) []string {
	if strings.ContainsAny(name, "{}") { // the application's
		return nil
	}
	var list []string
	closed := false
	for _, m := range part.Metrics {
		set := c.Values[m.Labels[name]]
		for _, value := range set.Closed {
			list = append(list, name+"="+value)
		}
		closed = closed || len(set.Closed) > 0 && set.Application == ""
	}
	if !closed {
		list = append(list, name+"=")
	}
	return list
}
