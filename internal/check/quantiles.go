package check

import (
	"context"
	"fmt"
	"math"
	"time"
)

// tryQuantiles holds when both forms of the latency histogram are there: the
// native one, which dashboards and rules use, and classic buckets.
func (r *run) tryQuantiles(ctx context.Context) (string, error) {
	const histogram = "websocket_message_duration_seconds"
	native, err := r.quantile(ctx, "native", `sum(`+histogram+`{job="`+service+`"})`)
	if err != nil {
		return "", err
	}
	classic, err := r.quantile(ctx, "classic", `sum by (le) (`+histogram+`_bucket{job="`+service+`"})`)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("95 %% of all messages were handled within %v by the native histogram, %v by the classic one", native, classic), nil
}

func (r *run) quantile(ctx context.Context, form, histogram string) (time.Duration, error) {
	found, e, err := r.query(ctx, "histogram_quantile(0.95, "+histogram+")")
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, e.lacks("Prometheus has no %s histogram of the message duration", form)
	}
	value := found[0].Value.value
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, e.lacks("the quantile of the %s histogram is %v, not a number", form, value)
	}
	return time.Duration(value * float64(time.Second)).Round(time.Microsecond), nil
}
