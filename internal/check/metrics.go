package check

import (
	"context"
	"fmt"
	"time"
)

const (
	messagesTotal     = `websocket_messages_total{job="` + service + `",direction="receive",type="message"}`
	connectionsTotal  = `websocket_connections_total{job="` + service + `",status="connected"}`
	activeConnections = `websocket_active_connections{job="` + service + `"}`
)

// counters are the newest samples of some series, by their labels.
type counters map[string]sample

// latest returns the newest sample of each series. It asks for the raw samples, because only they have the time of the
// scrape.
func (r *run) latest(ctx context.Context, selector string) (counters, exchange, error) {
	found, e, err := r.query(ctx, selector+"[5m]")
	newest := make(counters, len(found))
	for _, s := range found {
		if len(s.Values) > 0 {
			newest[fmt.Sprint(s.Metric)] = s.Values[len(s.Values)-1]
		}
	}
	return newest, e, err
}

// measure notes the counters before the conversation begins. It does not wait long for a Prometheus that is away: then
// only its step fails.
func (r *run) measure(ctx context.Context) {
	defer r.measured.settle(true)
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	_, r.beforeErr = eventually(ctx, 200*time.Millisecond, func(ctx context.Context) (string, error) {
		r.before = make(counters)
		for _, selector := range []string{messagesTotal, connectionsTotal} {
			values, _, err := r.latest(ctx, selector)
			if err != nil {
				return "", fmt.Errorf("the counters before the first message are not known: %w", err)
			}
			for labels, s := range values {
				r.before[labels] = s
			}
		}
		return "", nil
	})
}

// tryMetrics succeeds if a scrape after the demo's answer has counted our connection and message, and shows the
// connection as open.
func (r *run) tryMetrics(ctx context.Context) (string, error) {
	if r.beforeErr != nil {
		return "", r.beforeErr
	}
	messages, err := r.moved(ctx, messagesTotal)
	if err != nil {
		return "", err
	}
	connections, err := r.moved(ctx, connectionsTotal)
	if err != nil {
		return "", err
	}
	open, e, err := r.latest(ctx, activeConnections)
	if err != nil {
		return "", err
	}
	active := open.increase(nil, r.answered.at)
	if active < 1 {
		return "", e.lacks("websocket_active_connections is %v although our connection is open: %s", active, open.newest(r.answered.at))
	}
	return fmt.Sprintf("websocket_messages_total +%v, websocket_connections_total +%v, websocket_active_connections %v", messages, connections, active), nil
}

func (r *run) moved(ctx context.Context, counter string) (float64, error) {
	after, e, err := r.latest(ctx, counter)
	if err != nil {
		return 0, err
	}
	by := after.increase(r.before, r.answered.at)
	if by < 1 {
		return 0, e.lacks("%s has not moved: %s", counter, after.newest(r.answered.at))
	}
	return by, nil
}

// newest says how old the counters are.
func (c counters) newest(now time.Time) string {
	if len(c) == 0 {
		return "Prometheus has not seen it in the last minutes"
	}
	var newest time.Time
	for _, s := range c {
		if s.at.After(newest) {
			newest = s.at
		}
	}
	if age := now.Sub(newest); age > 0 {
		return fmt.Sprintf("the newest scrape is from %v before the demo answered", age.Round(time.Millisecond))
	}
	return "scrapes since the demo answered show no change"
}

// increase sums the increases of the counters that were scraped since then. A counter that is lower than before has
// restarted from 0, because the service was restarted.
func (c counters) increase(before counters, since time.Time) float64 {
	var sum float64
	for labels, now := range c {
		if now.at.Before(since) {
			continue
		}
		sum += now.value
		if was := before[labels].value; was <= now.value {
			sum -= was
		}
	}
	return sum
}
