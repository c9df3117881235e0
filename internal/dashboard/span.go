package dashboard

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Span is a range of time.
type Span struct{ From, To time.Time }

// Limits of what can be looked at.
const (
	shortestSpan = time.Second
	longestSpan  = 366 * 24 * time.Hour
)

// ParseSpan reads a range in Grafana's words, as in now-1h and now: relative to now, in milliseconds since 1970, or
// written out as RFC 3339 says.
func ParseSpan(from, to string, now time.Time) (Span, error) {
	var s Span
	var err error
	if s.From, err = parseMoment(from, now, false); err != nil {
		return Span{}, err
	}
	if s.To, err = parseMoment(to, now, true); err != nil {
		return Span{}, err
	}
	if length := s.To.Sub(s.From); length < shortestSpan || length > longestSpan {
		return Span{}, fmt.Errorf("from %s to %s is no range of a second to a year", from, to)
	}
	return s, nil
}

var relative = regexp.MustCompile(`^now(?:([+-])(\d{1,6})([smhdwMy]))?(?:/([smhdwMy]))?$`)

func parseMoment(text string, now time.Time, end bool) (time.Time, error) {
	if groups := relative.FindStringSubmatch(text); groups != nil {
		t := now
		if groups[1] != "" {
			n, err := strconv.Atoi(groups[1] + groups[2])
			if err != nil {
				return time.Time{}, fmt.Errorf("read the time %q: %w", text, err)
			}
			t = shift(t, n, groups[3])
		}
		if groups[4] != "" {
			t = begin(t, groups[4])
			if end {
				t = shift(t, 1, groups[4])
			}
		}
		return t, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 && ms < 1<<43 {
		return time.UnixMilli(ms).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: write it as in now-1h, 2026-01-02T15:04:05Z, or in milliseconds since 1970", text)
	}
	return t.UTC(), nil
}

func shift(t time.Time, n int, unit string) time.Time {
	switch unit {
	case "M":
		return t.AddDate(0, n, 0)
	case "y":
		return t.AddDate(n, 0, 0)
	case "w":
		return t.AddDate(0, 0, 7*n)
	case "d":
		return t.AddDate(0, 0, n)
	}
	return t.Add(time.Duration(n) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit])
}

// begin is when the unit of time began that t is in, in UTC.
func begin(t time.Time, unit string) time.Time {
	t = t.UTC()
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch unit {
	case "M":
		return day.AddDate(0, 0, 1-t.Day())
	case "y":
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case "w":
		return day.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	case "d":
		return day
	}
	return t.Truncate(map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit])
}

// ScrapeInterval is how often the shipped Collector scrapes, from which the windows of rates are chosen.
const ScrapeInterval = 5 * time.Second

// Step is the time between two points so that there are at most so many, rounded as Grafana does, and no less than the
// shortest.
func (s Span) Step(points int, shortest time.Duration) time.Duration {
	steps := []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
	}
	length := s.To.Sub(s.From)
	for _, step := range steps {
		if step >= shortest && length/step < time.Duration(max(points, 1)) {
			return step
		}
	}
	return max(steps[len(steps)-1], shortest)
}

// BuiltIn are the values of the variables that Grafana sets by itself.
func (s Span) BuiltIn(step time.Duration) map[string]string {
	length := s.To.Sub(s.From)
	rate := max(step+ScrapeInterval, 4*ScrapeInterval)
	seconds := func(d time.Duration) string { return strconv.FormatInt(int64(max(d, time.Second)/time.Second), 10) }
	return map[string]string{
		"__interval":         seconds(step) + "s",
		"__interval_ms":      strconv.FormatInt(step.Milliseconds(), 10),
		"__rate_interval":    seconds(rate) + "s",
		"__rate_interval_ms": strconv.FormatInt(rate.Milliseconds(), 10),
		"__range":            seconds(length) + "s",
		"__range_s":          seconds(length),
		"__range_ms":         strconv.FormatInt(length.Milliseconds(), 10),
		"__auto":             seconds(step) + "s",
		"__from":             strconv.FormatInt(s.From.UnixMilli(), 10),
		"__to":               strconv.FormatInt(s.To.UnixMilli(), 10),
	}
}

// ParseStep reads a length of time as dashboards write it, as in 15s, 1d or >10s.
func ParseStep(text string) (time.Duration, error) {
	groups := regexp.MustCompile(`^>?(\d{1,6})(ms|[smhdwy])$`).FindStringSubmatch(text)
	if groups == nil {
		return 0, fmt.Errorf("%q is not a length of time such as 15s", text)
	}
	n, err := strconv.Atoi(groups[1])
	if err != nil {
		return 0, fmt.Errorf("read the length of time %q: %w", text, err)
	}
	units := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
	return time.Duration(n) * units[groups[2]], nil
}
