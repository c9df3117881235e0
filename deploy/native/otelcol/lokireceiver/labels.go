package lokireceiver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parseLabels reads a stream's labels in the notation of Prometheus, {name="value", …}. Labels whose names begin with
// __ are internal to the client and left out.
func parseLabels(s string) ([]pair, error) {
	rest, ok := strings.CutPrefix(trim(s), "{")
	if !ok {
		return nil, errors.New("labels don't begin with {")
	}
	var labels []pair
	for rest = trim(rest); !strings.HasPrefix(rest, "}"); rest = trim(rest) {
		var (
			label pair
			err   error
		)
		if label, rest, err = cutLabel(rest); err != nil {
			return nil, err
		}
		if labels = keep(labels, label); len(labels) > maxAttributes {
			return nil, fmt.Errorf("a stream has more than %d labels", maxAttributes)
		}
		after, comma := strings.CutPrefix(trim(rest), ",")
		if !comma && !strings.HasPrefix(after, "}") {
			return nil, fmt.Errorf("after label %q there is neither a comma nor the end", label.name)
		}
		rest = after
	}
	if trim(rest[1:]) != "" {
		return nil, errors.New("something follows the labels")
	}
	return labels, nil
}

// cutLabel reads name="value" and returns what follows it.
func cutLabel(s string) (label pair, rest string, err error) {
	if label.name, rest, err = cutName(s); err != nil {
		return pair{}, "", err
	}
	rest, ok := strings.CutPrefix(trim(rest), "=")
	if !ok {
		return pair{}, "", fmt.Errorf("label %q has no =", label.name)
	}
	if label.value, rest, err = cutString(trim(rest)); err != nil {
		return pair{}, "", fmt.Errorf("label %q: %w", label.name, err)
	}
	return label, rest, nil
}

func cutName(s string) (name, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return cutString(s)
	}
	end := 0
	for end < len(s) && isNameByte(s[end], end == 0) {
		end++
	}
	if end == 0 {
		return "", "", errors.New("a label has no valid name")
	}
	return s[:end], s[end:], nil
}

func cutString(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) && !strings.HasPrefix(s, "`") {
		return "", "", errors.New("its value is not in quotes")
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", errors.New("its value has no end or an unknown escape")
	}
	if value, err = strconv.Unquote(quoted); err != nil {
		return "", "", fmt.Errorf("its value: %w", err)
	}
	return valid(value), s[len(quoted):], nil
}

// keep appends a label unless it is internal. When a name occurs twice, its last value counts, as in a log record.
func keep(labels []pair, label pair) []pair {
	if strings.HasPrefix(label.name, "__") {
		return labels
	}
	return append(labels, label)
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i], i == 0) {
			return false
		}
	}
	return s != ""
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}

func trim(s string) string { return strings.TrimLeft(s, " \t\r\n") }
