package outbox

import "fmt"

func (p Policy) names() []string { return []string{"disconnect", "drop_oldest", "coalesce"} }

// MarshalText returns the name of the policy, such as drop_oldest.
func (p Policy) MarshalText() ([]byte, error) {
	if int(p) >= len(p.names()) {
		return nil, fmt.Errorf("outbox: policy %d is not known", p)
	}
	return []byte(p.names()[p]), nil
}

// UnmarshalText reads what MarshalText returns.
func (p *Policy) UnmarshalText(text []byte) error {
	for i, name := range p.names() {
		if name == string(text) {
			*p = Policy(i)
			return nil
		}
	}
	return fmt.Errorf("outbox: give disconnect, drop_oldest or coalesce, not %q", text)
}
