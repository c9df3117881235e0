package check

import (
	"context"
	"fmt"
	"math"
	"time"
)

// tryQuantiles succeeds if both forms of the latency histogram have been scraped since the demo's answer: the native
// one, which dashboards and rules use, and classic buckets.
func (r *run) tryQuantiles(ctx context.Context) (string, error) {
	native, err := r.quantile(ctx, "native", "sum", "websocket_message_duration_seconds")
	if err != nil {
		return "", err
	}
	classic, err := r.quantile(ctx, "classic", "sum by (le)", "websocket_message_duration_seconds_bucket")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("95 %% of all messages were handled within %v by the native histogram, %v by the classic one", native, classic), nil
}

func (r *run) quantile(ctx context.Context, form, sum, histogram string) (time.Duration, error) {
	histogram += `{job="` + service + `"}`
	scraped := "timestamp(" + histogram + ") >= " + toSeconds(r.answered.at)
	found, e, err := r.query(ctx, "histogram_quantile(0.95, "+sum+"("+histogram+" and "+scraped+"))")
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, e.lacks("Prometheus has no %s histogram of the message duration scraped since the demo answered", form)
	}
	value := found[0].Value.value
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, e.lacks("the quantile of the %s histogram is %v, not a number", form, value)
	}
	return time.Duration(value * float64(time.Second)).Round(time.Microsecond), nil
}
