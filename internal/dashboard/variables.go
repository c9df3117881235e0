package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// All is the choice of every value of a variable.
const All = "$__all"

// Choice is what a variable stands for.
type Choice struct {
	Values []string
	// Pattern is set for a variable of which several values can be chosen. It stands in queries as a regular
	// expression.
	Pattern bool
	// Whole stands for all values, as it is. It is empty if they are not all chosen, or if each is named.
	Whole string
}

// Format writes the choice as a format of Grafana's says. An empty one is that of queries.
func (c Choice) Format(format string) (string, error) {
	if c.Whole != "" && format != "text" {
		return c.Whole, nil
	}
	switch format {
	case "":
		if !c.Pattern {
			return strings.Join(c.Values, ","), nil
		}
		return pattern(c.Values, `\\`), nil
	case "regex":
		return pattern(c.Values, `\`), nil
	case "raw", "csv", "text":
		return strings.Join(c.Values, ","), nil
	case "pipe":
		return strings.Join(c.Values, "|"), nil
	case "doublequote":
		var quoted []string
		for _, v := range c.Values {
			quoted = append(quoted, strconv.Quote(v))
		}
		return strings.Join(quoted, ","), nil
	case "percentencode":
		return url.PathEscape(strings.Join(c.Values, ",")), nil
	}
	return "", fmt.Errorf("the format %s of a variable is not known", format)
}

// pattern joins values to a regular expression that matches just them. The escape is doubled where it stands in a
// string of PromQL or LogQL, which also must not end before the value does.
func pattern(values []string, escape string) string {
	special := regexp.MustCompile(`[\\^$.*+?()[\]{}|]`)
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = special.ReplaceAllStringFunc(v, func(s string) string {
			if s == `\` {
				return escape + escape
			}
			return escape + s
		})
		if len(escape) > 1 {
			escaped[i] = strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(escaped[i])
		}
	}
	if len(escaped) == 1 {
		return escaped[0]
	}
	return "(" + strings.Join(escaped, "|") + ")"
}

// Choose returns what a variable stands for if its values are the options, of which some were chosen. Without a choice
// it is the one that the dashboard was saved with, or else all, or the first.
func (v Variable) Choose(options, chosen []string) Choice {
	if len(chosen) == 0 {
		chosen = v.saved()
	}
	if len(chosen) == 0 && v.IncludeAll {
		chosen = []string{All}
	}
	if len(chosen) == 0 && len(options) > 0 {
		chosen = options[:1]
	}
	if !v.Multi && len(chosen) > 1 {
		chosen = chosen[:1]
	}
	c := Choice{Values: chosen, Pattern: v.Multi || v.IncludeAll}
	if v.IncludeAll && (slices.Contains(chosen, All) || slices.Contains(chosen, "All")) {
		c.Values, c.Whole = options, v.AllValue
		if c.Whole == "" && len(options) == 0 {
			c.Whole = ".*" // nothing is known to choose from
		}
	}
	return c
}

// saved are the values that the dashboard was saved with.
func (v Variable) saved() []string {
	switch value := v.Current.Value.(type) {
	case string:
		if value != "" {
			return []string{value}
		}
	case []any:
		var values []string
		for _, one := range value {
			if text, ok := one.(string); ok {
				values = append(values, text)
			}
		}
		return values
	}
	return nil
}

// QueryText is the text of a variable's query, which Grafana writes in two ways.
func (v Variable) QueryText() string {
	var text string
	if json.Unmarshal(v.Query, &text) == nil {
		return text
	}
	var object struct {
		Query string `json:"query"`
	}
	if json.Unmarshal(v.Query, &object) == nil {
		return object.Query
	}
	return ""
}

// Listed are the values of a variable that lists them: custom and interval.
func (v Variable) Listed() []string {
	var values []string
	for part := range strings.SplitSeq(v.QueryText(), ",") {
		// As in "one : 1", where one is what people read.
		if _, value, ok := strings.Cut(part, " : "); ok {
			part = value
		}
		if part = strings.TrimSpace(part); part != "" {
			values = append(values, part)
		}
	}
	return values
}

// Filter returns what the variable's regular expression leaves of values, or of their first group, without repetitions
// and in the variable's order.
func (v Variable) Filter(values []string) ([]string, error) {
	kept := slices.Clone(values)
	if v.Regex != "" {
		pattern, err := Pattern(v.Regex)
		if err != nil {
			return nil, fmt.Errorf("the regular expression of the variable %s: %w", v.Name, err)
		}
		kept = kept[:0]
		for _, value := range values {
			switch groups := pattern.FindStringSubmatch(value); {
			case len(groups) > 1:
				kept = append(kept, groups[1])
			case groups != nil:
				kept = append(kept, value)
			}
		}
	}
	if v.Sort > 0 {
		compare := [...]func(a, b string) int{strings.Compare, compareNumbers, compareFolded}[min((v.Sort-1)/2, 2)]
		slices.SortStableFunc(kept, func(a, b string) int {
			if v.Sort%2 == 0 {
				a, b = b, a
			}
			return compare(a, b)
		})
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(kept, func(value string) bool {
		again := seen[value]
		seen[value] = true
		return again
	}), nil
}

func compareFolded(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// compareNumbers compares the first numbers in two texts.
func compareNumbers(a, b string) int {
	number := func(s string) float64 {
		s = strings.TrimLeftFunc(s, func(r rune) bool { return !unicode.IsDigit(r) })
		end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) && r != '.' })
		if end < 0 {
			end = len(s)
		}
		n, err := strconv.ParseFloat(s[:end], 64)
		if err != nil {
			return -1
		}
		return n
	}
	return cmp.Compare(number(a), number(b))
}

// Expand replaces the variables in a text by what value says of each, by its name and the format that the text asks
// for.
func Expand(text string, value func(name, format string) (string, error)) (string, error) {
	var failed error
	replaced := variable.ReplaceAllStringFunc(text, func(found string) string {
		groups := variable.FindStringSubmatch(found)
		with, err := value(cmp.Or(groups[1], groups[2], groups[4]), cmp.Or(groups[3], groups[5]))
		if err != nil && failed == nil {
			failed = err
		}
		return with
	})
	return replaced, failed
}
