package drawing

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sockscope/sockscope/internal/dashboard"
)

// resolved is a variable with what it can stand for.
type resolved struct {
	once    sync.Once
	options []string
	choice  dashboard.Choice
	err     error
}

// Control is a variable that the reader of a dashboard sets.
type Control struct {
	Name, Label string
	Multi       bool
	Free        bool // any text
	Options     []Option
	Value       string // of a free one
	Problem     string
}

// Option is a value to choose.
type Option struct {
	Value, Text string
	Chosen      bool
}

// Controls returns the variables that can be set, with their values.
func (v *View) Controls(ctx context.Context) []Control {
	var list []Control
	for _, variable := range v.board.Templating.List {
		if variable.Hide == 2 || variable.Type == "datasource" || variable.Type == "constant" {
			continue
		}
		c := Control{Name: variable.Name, Label: variable.Label, Multi: variable.Multi, Free: variable.Type == "textbox"}
		if c.Label == "" {
			c.Label = c.Name
		}
		found := v.resolve(ctx, variable)
		if found.err != nil {
			c.Problem = found.err.Error()
		}
		if c.Free {
			c.Value = strings.Join(found.choice.Values, "")
			list = append(list, c)
			continue
		}
		chosen := variable.Choose([]string{dashboard.All}, v.chosen[variable.Name]).Values
		all := variable.IncludeAll && slices.Contains(chosen, dashboard.All)
		if variable.IncludeAll {
			c.Options = append(c.Options, Option{dashboard.All, "All", all})
		}
		for _, value := range found.options {
			c.Options = append(c.Options, Option{value, value, !all && slices.Contains(found.choice.Values, value)})
		}
		for _, value := range found.choice.Values {
			if !all && !slices.Contains(found.options, value) { // it was there once
				c.Options = append(c.Options, Option{value, value, true})
			}
		}
		list = append(list, c)
	}
	return list
}

// resolve finds out once what a variable stands for. It waits for those that the variable depends on, so none may
// depend on itself.
func (v *View) resolve(ctx context.Context, variable dashboard.Variable) *resolved {
	v.mu.Lock()
	found := v.choices[variable.Name]
	if found == nil {
		found = new(resolved)
		v.choices[variable.Name] = found
	}
	v.mu.Unlock()
	found.once.Do(func() {
		if v.inCircle(variable.Name) {
			found.err = fmt.Errorf("the variable %s depends on itself, in a circle", variable.Name)
			return
		}
		found.options, found.err = v.options(ctx, variable)
		found.choice = variable.Choose(found.options, v.chosen[variable.Name])
	})
	return found
}

// inCircle tells whether a variable depends on itself, or on one that does.
func (v *View) inCircle(name string) bool {
	needs := make(map[string][]string)
	for _, variable := range v.board.Templating.List {
		// An error is impossible: none is returned.
		_, _ = dashboard.Expand(variable.QueryText(), func(needed, _ string) (string, error) {
			needs[variable.Name] = append(needs[variable.Name], needed)
			return "", nil
		})
	}
	var under []string
	var circular func(name string) bool
	circular = func(name string) bool {
		if slices.Contains(under, name) {
			return true
		}
		under = append(under, name)
		defer func() { under = under[:len(under)-1] }()
		return slices.ContainsFunc(needs[name], circular)
	}
	return circular(name)
}

// options are the values that a variable can have.
func (v *View) options(ctx context.Context, variable dashboard.Variable) ([]string, error) {
	switch variable.Type {
	case "custom", "interval":
		return variable.Listed(), nil
	case "textbox", "constant":
		return []string{variable.QueryText()}, nil
	case "datasource":
		return []string{variable.QueryText()}, nil // there is one of each type
	case "query":
	default:
		return nil, fmt.Errorf("the variable %s is of the type %s, which the desk does not know", variable.Name, variable.Type)
	}
	expr, err := v.expand(ctx, variable.QueryText(), v.span.BuiltIn(dashboard.ScrapeInterval))
	if err != nil {
		return nil, err
	}
	values, err := v.drawer.variableValues(ctx, expr, v.span)
	if err != nil {
		return nil, fmt.Errorf("the values of the variable %s: %w", variable.Name, err)
	}
	if values, err = variable.Filter(values); err != nil {
		return nil, err
	}
	return values[:min(len(values), maxOptions)], nil
}

// variableValues answers the queries of variables.
func (d *Drawer) variableValues(ctx context.Context, expr string, span dashboard.Span) ([]string, error) {
	expr = strings.TrimSpace(expr)
	name, inner, ok := strings.Cut(expr, "(")
	inner = strings.TrimSpace(strings.TrimSuffix(inner, ")"))
	switch {
	case ok && name == "label_values":
		selector, label := "", inner
		if i := strings.LastIndex(inner, ","); i >= 0 {
			selector, label = strings.TrimSpace(inner[:i]), strings.TrimSpace(inner[i+1:])
		}
		return d.Prometheus.Values(ctx, label, selector, span.From, span.To, maxOptions)
	case ok && name == "query_result":
		series, _, err := d.Prometheus.Instant(ctx, inner, span.To, maxOptions)
		var values []string
		for _, s := range series {
			text := labelText(s.Labels)
			if len(s.Points) > 0 {
				text += " " + strconv.FormatFloat(s.Points[0].Value, 'g', -1, 64)
			}
			values = append(values, text)
		}
		return values, err
	}
	return nil, fmt.Errorf("the desk does not know the query %q: label_values and query_result are known", expr)
}

// choice is what a variable stands for. Its values are asked for only if that depends on them.
func (v *View) choice(ctx context.Context, variable dashboard.Variable) (dashboard.Choice, error) {
	choice := variable.Choose(nil, v.chosen[variable.Name])
	if all := choice.Whole != ""; all && variable.AllValue != "" || !all && len(choice.Values) > 0 {
		return choice, nil
	}
	found := v.resolve(ctx, variable)
	return found.choice, found.err
}

// expand fills variables in.
func (v *View) expand(ctx context.Context, text string, builtIn map[string]string) (string, error) {
	expanded, err := dashboard.Expand(text, func(name, format string) (string, error) {
		if value, ok := builtIn[name]; ok {
			return value, nil
		}
		for _, variable := range v.board.Templating.List {
			if variable.Name != name {
				continue
			}
			choice, err := v.choice(ctx, variable)
			if err != nil {
				return "", err
			}
			value, err := choice.Format(format)
			if value == "$__auto_interval_"+name {
				value = builtIn["__interval"]
			}
			return value, err
		}
		return "", fmt.Errorf("there is no variable %s", name)
	})
	if err == nil && len(expanded) > maxExpr {
		return "", fmt.Errorf("with its variables the query has more than %d KiB: choose fewer values", maxExpr>>10)
	}
	return expanded, err
}

// Text fills the variables into a text for people, such as a title. A variable that has no value stays.
func (v *View) Text(ctx context.Context, text string) string {
	if !strings.ContainsAny(text, "$[") {
		return text
	}
	expanded, err := v.expand(ctx, text, v.span.BuiltIn(dashboard.ScrapeInterval))
	if err != nil {
		return text
	}
	return expanded
}
