package client

import (
	"net/http"
	"time"
)

// WithJitter sets the part of its ceiling that each wait takes, so that waits are exact.
func WithJitter(part float64) Option {
	return func(c *config) error {
		c.random = func() float64 { return part }
		return nil
	}
}

// RetryAfter is retryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, now) }

// ErrorText is errorText.
func ErrorText(err error) string { return errorText(err) }
