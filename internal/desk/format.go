package desk

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/tracing"
)

// formats are the functions that templates put values into words with.
func formats() template.FuncMap {
	return template.FuncMap{
		"ago":      ago,
		"duration": duration,
		"coarse":   coarse,
		"step": func(d time.Duration) string {
			return strings.TrimSuffix(strings.TrimSuffix(coarse(d), " 0 s"), " 0 min")
		},
		"source":    source,
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
		"second":    func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
		"stamp":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
		"machine":   machine,
		"fraction":  fraction,
		"severity":  severity,
		"web":       web,
		"words":     func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
		"waterfall": tracing.Waterfall,
		"first":     first,
		"name":      nameOf,
		"pair":      func(now time.Time, list []inbox.Channel) channels { return channels{now, list} },
		"never":     func() time.Time { return time.Time{} },
		"sum":       func(a, b int) int { return a + b },
		"span":      func(now, t time.Time) string { return coarse(now.Sub(t)) },

		"connection":   connectionPath,
		"isConnection": isConnection,
		"inSeconds":    secondsWords,
		"inBytes":      bytesWords,
		"perSecond":    perSecond,
		"around":       logAroundPath,
		"attributes":   attributeRows,
		"fields":       fieldRows,
		"telling":      telling,
		"eventRows":    eventRows,
		"markdown":     markdown,
		"during":       during,
		"minus":        func(a, b float64) float64 { return a - b },
	}
}

// channels are by which ways an alert was told, for a template that says so.
type channels struct {
	Now      time.Time
	Channels []inbox.Channel
}

// ago says how long before now a time was.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return coarse(now.Sub(t)) + " ago"
}

// coarse says a duration as a person would, in whole seconds or more.
func coarse(d time.Duration) string {
	switch d = max(d, 0).Truncate(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// duration says a short duration with three digits.
func duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return coarse(d)
	case d >= time.Second:
		return digits(d.Seconds()) + " s"
	case d >= time.Millisecond:
		return digits(d.Seconds()*1e3) + " ms"
	}
	return digits(d.Seconds()*1e6) + " µs"
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", v), "0"), ".0")
}

// first is the row that a trace is named after. A span that is missing has children.
func first(rows []tracing.Row) tracing.Row {
	if rows[0].Missing {
		return rows[1]
	}
	return rows[0]
}

// fraction is the time at so many quarters of a trace.
func fraction(t tracing.Trace, quarters int) string {
	start, end := t.Range()
	if quarters == 0 {
		return "0"
	}
	return duration(end.Sub(start) * time.Duration(quarters) / 4)
}

// source names whom a notification was meant for.
func source(s inbox.Source) string {
	switch s {
	case inbox.PagerDuty:
		return "PagerDuty"
	case inbox.Slack:
		return "Slack"
	case inbox.Desk:
		return "Desk"
	}
	return "Webhook"
}

// severity returns the class of a severity's colour. Unknown severities have none.
func severity(s string) string {
	switch strings.ToLower(s) {
	case "critical", "fatal", "page":
		return "critical"
	case "error":
		return "error"
	case "warning", "warn":
		return "warning"
	case "info", "debug", "none":
		return "info"
	}
	return "plain"
}

// during are links of which those to dashboards show the time that they are about: from half an hour before it began
// until half an hour after its end, or until now if it has none.
func during(links []inbox.Link, began, ended time.Time) []inbox.Link {
	const around = 30 * time.Minute
	var list []inbox.Link
	for _, l := range links {
		if u, err := url.Parse(l.Href); err == nil && strings.HasPrefix(u.Path, "/d/") && !began.IsZero() {
			query := u.Query()
			query.Set("from", strconv.FormatInt(began.Add(-around).UnixMilli(), 10))
			query.Set("to", "now")
			if !ended.IsZero() {
				query.Set("to", strconv.FormatInt(ended.Add(around).UnixMilli(), 10))
			}
			u.RawQuery = query.Encode()
			l.Href = u.String()
		}
		list = append(list, l)
	}
	return list
}

// web tells whether an address from outside may become a link.
func web(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// nameOf finds the name of the span that a log record belongs to.
func nameOf(t tracing.Trace, id string) string {
	for _, s := range t.Spans {
		if s.ID == id {
			return s.Name
		}
	}
	return ""
}
