package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sockscope/sockscope/instrument/client"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":                            {"", "", 0},
		"seconds":                         {"7", "", 7 * time.Second},
		"no seconds":                      {"0", "", 0},
		"spaces":                          {" 7 ", "", 7 * time.Second},
		"too many seconds":                {"86400", "", 10 * time.Minute},
		"more seconds than numbers have":  {"99999999999999999999999", "", 10 * time.Minute},
		"negative":                        {"-5", "", 0},
		"fraction":                        {"1.5", "", 0},
		"nonsense":                        {"soon", "", 0},
		"date":                            {date(90 * time.Second), "", 90 * time.Second},
		"date that has passed":            {date(-time.Hour), "", 0},
		"date far ahead":                  {date(1000 * time.Hour), "", 10 * time.Minute},
		"date by a clock that is ahead":   {date(time.Hour + time.Minute), date(time.Hour), time.Minute},
		"date by a clock that is nowhere": {date(time.Minute), "yesterday", time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
			if got := client.RetryAfter(h, now); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Sun, 01 Mar 2026 12:00:30 GMT", "Sun, 01 Mar 2026 12:00:00 GMT")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if d := client.RetryAfter(h, time.Unix(1_700_000_000, 0)); d < 0 || d > 10*time.Minute {
			t.Errorf("%q at %q: %v", value, date, d)
		}
	})
}
