package inbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// noValue is what Go templates write for a label or annotation that the alert does not have.
const noValue = "<no value>"

// secret matches the members of a body whose values must not be kept.
var secret = regexp.MustCompile(`("(?:routing_key|service_key|token)"\s*:\s*")[^"]*`)

// MissingValues returns a warning for each place in decoded JSON at which a template had nothing to fill in.
func MissingValues(v any) []string {
	var found []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if len(found) >= maxWarn {
			return
		}
		switch v := v.(type) {
		case string:
			if strings.Contains(v, noValue) {
				found = append(found, fmt.Sprintf("%s contains %s: its template names a label or annotation that the alert does not have", cut(path, 200), noValue))
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case map[string]any:
			for _, k := range sortedKeys(v) {
				walk(strings.TrimPrefix(path+"."+k, "."), v[k])
			}
		}
	}
	walk("", v)
	return found
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Readable returns a request body as a person wants to read it: JSON indented, anything else as it is, with the routing
// key masked and the rest cut at MaxBody.
func Readable(body []byte) string {
	body = body[:min(len(body), 4*MaxBody)]
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", "  ") == nil {
		body = indented.Bytes()
	}
	return cut(secret.ReplaceAllString(string(body), "${1}…"), MaxBody)
}

// AlertInTitle returns the alert's name from a title as Alertmanager's default templates write it, "[FIRING:2] Name
// (labels)", and "" from any other.
func AlertInTitle(title string) string {
	_, after, ok := strings.Cut(title, "] ")
	if !ok || !strings.HasPrefix(title, "[") {
		return ""
	}
	name, _, _ := strings.Cut(after, " ")
	return name
}
