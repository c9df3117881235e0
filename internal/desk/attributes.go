package desk

import (
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
)

// attributeRow is a row of the table of attributes or fields.
type attributeRow struct {
	Key, Value string
	Same       string // address of what has the same value, empty if that is of no use
}

// attributeRows are the attributes of a span. Same leads to traces.
func attributeRows(list []tracing.Attribute) []attributeRow {
	var rows []attributeRow
	for _, a := range list {
		row := attributeRow{Key: a.Key, Value: a.Value}
		if p := samePair(a.Key, a.Value); p != nil {
			row.Same = tracesForm{Attributes: p, period: period{Range: "24h"}}.path()
		}
		rows = append(rows, row)
	}
	return rows
}

// fieldRows are the fields of a log record. Same leads to log records.
func fieldRows(list []logstore.Field) []attributeRow {
	var rows []attributeRow
	for _, f := range list {
		row := attributeRow{Key: f.Key, Value: f.Value}
		if p := samePair(f.Key, f.Value); p != nil {
			row.Same = logsForm{Fields: p, period: period{Range: "24h"}}.path()
		}
		rows = append(rows, row)
	}
	return rows
}

// telling returns the values that say in short what a log record is about.
func telling(fields []logstore.Field) []string {
	var values []string
	for _, name := range []string{"type", "status", "initiator", "reason", "code", "result", "kind", "error"} {
		for _, f := range fields {
			if f.Key == name && f.Value != "" {
				values = append(values, f.Value)
			}
		}
	}
	return values
}

// eventRows are the fields of an event of a story.
func eventRows(e story.Event) []attributeRow {
	if e.Kind != story.KindRecord {
		return attributeRows(e.Fields)
	}
	var fields []logstore.Field
	for _, f := range e.Fields {
		fields = append(fields, logstore.Field(f))
	}
	return fieldRows(fields)
}

// samePair is what a form searches for to find the same value. It is nil if the form can't, or if the value is a
// measure, which is hardly ever the same.
func samePair(key, value string) pairs {
	last := key[strings.LastIndexAny(key, "._")+1:]
	if slices.Contains([]string{"seconds", "duration", "bytes", "messages", "size", "number", "recipients", "dropped"}, last) {
		return nil
	}
	p := newPairs([]string{key + "=" + value})
	if parsed, err := p.parse(); err != nil || len(parsed) != 1 || parsed[0] != (pair{key, value}) {
		return nil
	}
	return p
}
