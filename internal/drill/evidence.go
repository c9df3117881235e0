package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
)

// Finding is whether something led to the cause, while the alert was firing.
type Finding struct {
	What   string `json:"what"` // panel, trace, log or runbook
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found, or what was not
}

// evidence looks for everything that has to lead to the cause. Spans and log records take some time until they can be
// found.
func (r *Runner) evidence(ctx context.Context, d Drill, since time.Time) []Finding {
	if d.Unruled {
		return nil // what would answer is what is broken
	}
	var found []Finding
	look := func(what string, find func(context.Context) (string, error)) {
		limited, cancel := context.WithTimeout(ctx, r.Stack.slack)
		defer cancel()
		for {
			// An attempt goes on when the time is up, so that it says what is missing and not that.
			detail, err := find(ctx)
			if err == nil {
				found = append(found, Finding{what, true, detail})
				return
			}
			if wait(limited, time.Second) != nil {
				found = append(found, Finding{what, false, err.Error()})
				return
			}
		}
	}
	if d.Panel != "" {
		look("panel", func(ctx context.Context) (string, error) { return r.panel(ctx, d) })
	}
	traceID := ""
	if d.Log != nil {
		look("log", func(ctx context.Context) (detail string, err error) {
			detail, traceID, err = r.log(ctx, d, since)
			return detail, err
		})
	}
	if d.Trace != nil {
		look("trace", func(ctx context.Context) (string, error) { return r.trace(ctx, *d.Trace, traceID, since) })
	}
	look("runbook", func(ctx context.Context) (string, error) { return r.runbook(ctx, d) })
	return found
}

// panel runs the queries of a panel.
func (r *Runner) panel(ctx context.Context, d Drill) (string, error) {
	names, err := fs.Glob(r.Stack.deploy, "grafana/dashboards/*.json")
	if err != nil {
		return "", err
	}
	window := fmt.Sprintf("%dms", max(4*time.Second, atSpeed(time.Minute, r.Stack.Speed)).Milliseconds())
	variables := map[string]string{
		"job": d.service(), "namespace": ".*", "instance": ".*",
		"__rate_interval": window, "__interval": window, "__range": window, "__auto": window,
	}
	for _, name := range names {
		content, err := fs.ReadFile(r.Stack.deploy, name)
		if err != nil {
			return "", err
		}
		board, err := dashboard.Parse(name, content)
		if err != nil {
			return "", err
		}
		queries, err := board.Queries(variables)
		if err != nil {
			return "", err
		}
		queries = slices.DeleteFunc(queries, func(q dashboard.Query) bool { return q.Panel != d.Panel })
		if len(queries) == 0 {
			continue
		}
		for _, q := range queries {
			n, err := r.results(ctx, q.Datasource == "prometheus", q.Expr)
			if err != nil {
				return "", err
			}
			if n == 0 {
				return "", fmt.Errorf("no data for %s", q)
			}
		}
		return fmt.Sprintf("%s shows data", d.Panel), nil
	}
	return "", fmt.Errorf("no dashboard has a panel %q", d.Panel)
}

// log looks for a record, and returns the trace that it names.
func (r *Runner) log(ctx context.Context, d Drill, since time.Time) (detail, traceID string, err error) {
	l := *d.Log
	list, err := r.Stack.records(ctx, d.service(), since)
	if err != nil {
		return "", "", err
	}
	n := 0
	for _, record := range list {
		if record.Message == l.Message && has(l.Has, field(record)) {
			n++
			traceID = cmp.Or(traceID, record.TraceID)
		}
	}
	if n == 0 {
		return "", "", fmt.Errorf("none of %d records says %s", len(list), describe(l.Message, l.Has))
	}
	return fmt.Sprintf("%d say %s", n, describe(l.Message, l.Has)), traceID, nil
}

// field looks up a field of a record.
func field(r logstore.Record) func(string) (string, bool) {
	return func(key string) (string, bool) {
		if key == "trace_id" {
			return r.TraceID, r.TraceID != ""
		}
		i := slices.IndexFunc(r.Fields, func(f logstore.Field) bool { return f.Key == key })
		if i < 0 {
			return "", false
		}
		return r.Fields[i].Value, true
	}
}

// maxTraces bounds how many traces are looked at.
const maxTraces = 5

func (r *Runner) trace(ctx context.Context, want Trace, logged string, since time.Time) (string, error) {
	ids, from := []string{logged}, "a log record"
	switch {
	case want.Exemplars != "":
		var err error
		if ids, err = r.Stack.exemplars(ctx, want.Exemplars, since); err != nil {
			return "", err
		}
		if len(ids) == 0 {
			return "", fmt.Errorf("%s has no exemplar since the fault", want.Exemplars)
		}
		from = "an exemplar"
	case logged == "":
		return "", errors.New("no log record names a trace")
	}
	var seen []string
	for _, id := range ids[:min(len(ids), maxTraces)] {
		var view tracing.View
		if err := r.Stack.get(ctx, r.Stack.At.Desk, "/api/trace/"+id, nil, &view); err != nil {
			seen = append(seen, err.Error())
			continue
		}
		for _, span := range view.Spans {
			if want.matches(span) {
				return fmt.Sprintf("%s leads to %s", from, describe(span.Name, want.Has)) + lasting(want, span), nil
			}
			seen = append(seen, span.Name)
		}
	}
	slices.Sort(seen)
	return "", fmt.Errorf("no span %s in the traces that %s leads to, but %s", describe(want.Span, want.Has), from, strings.Join(slices.Compact(seen), ", "))
}

func lasting(want Trace, span tracing.Span) string {
	if want.Longer == 0 {
		return ""
	}
	return fmt.Sprintf(" of %.1f s", span.Duration().Seconds())
}

func (t Trace) matches(span tracing.Span) bool {
	return strings.HasPrefix(span.Name, t.Span) && span.Duration() >= t.Longer &&
		has(t.Has, func(key string) (string, bool) { v := span.Attribute(key); return v, v != "" })
}

// has reports whether all that is wanted is there. An empty value stands for any.
func has(want map[string]string, get func(string) (string, bool)) bool {
	for key, value := range want {
		if got, ok := get(key); !ok || (value != "" && got != value) {
			return false
		}
	}
	return true
}

// describe names what is looked for.
func describe(name string, fields map[string]string) string {
	text := []string{name}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if fields[key] == "" {
			text = append(text, key)
			continue
		}
		text = append(text, key+"="+fields[key])
	}
	return strings.Join(text, " ")
}

// runbook runs the queries of an alert's runbook, as the person on call would.
func (r *Runner) runbook(ctx context.Context, d Drill) (string, error) {
	content, err := fs.ReadFile(r.Docs, "runbooks/"+d.Alert+".md")
	if err != nil {
		return "", fmt.Errorf("read the runbook: %w", err)
	}
	queries := runbookQueries(string(content), r.Stack.logLanguage)
	if len(queries) == 0 {
		return "", errors.New("it has no queries")
	}
	answered := 0
	for _, q := range queries {
		// Runbooks have the demo's name where people have their own.
		n, err := r.results(ctx, q.language == "promql", strings.ReplaceAll(q.expr, demoService, d.service()))
		if err != nil {
			return "", fmt.Errorf("%s: %w", q.expr, err)
		}
		if n > 0 {
			answered++
		}
	}
	if answered == 0 {
		return "", fmt.Errorf("none of %d queries has a result", len(queries))
	}
	return fmt.Sprintf("%d of %d queries have a result", answered, len(queries)), nil
}

// results returns how many series or streams a query finds, in Prometheus or in the log store.
func (r *Runner) results(ctx context.Context, metrics bool, expr string) (int, error) {
	if !metrics {
		return r.Stack.logQuery(ctx, expr)
	}
	list, err := r.Stack.query(ctx, expr)
	return len(list), err
}

type runbookQuery struct{ language, expr string }

// generated ends what sockscope mixin writes into a runbook: the alert's own expression among other things.
const generated = "<!-- made by sockscope mixin: end -->"

// runbookQueries returns the queries of a runbook that people have written, in PromQL and the language of the log
// store: what stands between fences, also inside of lists. Those that ask for a trace whose id has to be filled in are
// left out.
func runbookQueries(markdown, logLanguage string) (queries []runbookQuery) {
	if _, after, ok := strings.Cut(markdown, generated); ok {
		markdown = after
	}
	var fence, text string
	for line := range strings.Lines(markdown) {
		line = strings.TrimSpace(line)
		switch isFence := strings.HasPrefix(line, "```"); {
		case isFence && fence == "":
			fence, text = line, ""
		case isFence:
			q := runbookQuery{languageOf(text), strings.TrimSpace(text)}
			isQuery := fence == "```" || strings.HasSuffix(fence, "ql")
			if isQuery && (q.language == "promql" || q.language == logLanguage) && !strings.Contains(q.expr, "…") {
				queries = append(queries, q)
			}
			fence = ""
		default:
			text += line + "\n"
		}
	}
	return queries
}

// languageOf tells the language of a query by what it calls a service.
func languageOf(expr string) string {
	switch {
	case strings.Contains(expr, "{service_name="):
		return "logql"
	case strings.Contains(expr, "{service.name="):
		return "logsql"
	}
	return "promql"
}
