package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// series is one element of Prometheus' answer to a query: a vector's has one sample, a matrix's several.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  sample            `json:"value"`
	Values []sample          `json:"values"`
}

// sample is a value and when it was scraped; its JSON is [seconds, "value"].
type sample struct {
	at    time.Time
	value float64
}

// UnmarshalJSON reads the pair that Prometheus' API writes.
func (s *sample) UnmarshalJSON(data []byte) error {
	var seconds float64
	var value string
	pair := []any{&seconds, &value}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a sample has 2 parts, not %d", len(pair))
	}
	parsed, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("a sample's value: %w", err)
	}
	s.at, s.value = fromSeconds(seconds), parsed
	return nil
}

// query asks for the instant value of an expression.
func (r *run) query(ctx context.Context, expr string) ([]series, exchange, error) {
	var answer struct {
		Data struct {
			Result []series `json:"result"`
		} `json:"data"`
	}
	e, err := r.get(ctx, r.prometheus, "/api/v1/query", url.Values{"query": {expr}}, &answer)
	return answer.Data.Result, e, err
}

func fromSeconds(seconds float64) time.Time {
	return time.UnixMilli(int64(seconds * 1000))
}

func toSeconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}
