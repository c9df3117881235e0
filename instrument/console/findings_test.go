package console

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minute returns the samples of a minute in which the same happened every second.
func minute(e Endpoint) []Sample {
	e.Namespace, e.Protocol = "chat", "websocket"
	samples := make([]Sample, 60)
	for i := range samples {
		samples[i] = Sample{Seconds: 1, Endpoints: []Endpoint{e}}
	}
	return samples
}

// closes returns records of connections that closed at these ages, one per second.
func closes(n int, reason string, age func(int) float64) []Record {
	list := make([]Record, n)
	for i := range list {
		list[i].Time = time.Unix(int64(i), 0)
		list[i].Attributes = map[string]any{"reason": reason, "duration_seconds": age(i)}
	}
	return list
}

// storm returns the samples of a minute in which so many of 500 connections break at once. Back are those that come in
// the seconds from then on.
func storm(broken float64, back ...float64) []Sample {
	samples := minute(Endpoint{Open: 500})
	open := 500 - broken
	for i := range samples[30:] {
		p := &samples[30+i].Endpoints[0]
		if i == 0 {
			p.Broken, p.Closed = broken, map[string]float64{"abnormal": broken}
		}
		if i < len(back) {
			p.Opened = back[i]
			open += back[i]
		}
		p.Open = int(open)
	}
	return samples
}

func TestFindings(t *testing.T) {
	by := func(label string, rate float64) map[string]float64 { return map[string]float64{label: rate} }
	spread := func(i int) float64 { return float64(10 + 37*i%200) }
	for name, tt := range map[string]struct {
		evidence evidence
		want     []string // beginnings of the texts
	}{
		"nothing": {},
		"all is well": {evidence{
			survey:  survey{open: 5000, queued: 40, longest: []int{1, 1, 1}},
			samples: minute(Endpoint{Open: 5000, Limit: 60_000, Opened: 10, Closed: by("normal", 10), Received: 1000, Handling: &Quantiles{0.001, 0.01, 0.1}}),
			closed:  closes(100, "normal", spread),
		}, nil},

		"keys rotated": {evidence{samples: minute(Endpoint{Opened: 1, Refused: by("unauthorized", 3)})},
			[]string{"75 % of 240 handshakes in the last minute were refused, most of them as unauthorized: were keys rotated, or is the identity provider down?"}},
		"one bot": {evidence{samples: minute(Endpoint{Opened: 10, Refused: by("unauthorized", 0.2)})}, nil},
		"drops": {evidence{samples: minute(Endpoint{Dropped: by("queue_full", 2)})},
			[]string{"120 messages were dropped in the last minute instead of being sent, most of them as queue_full."}},
		"readers left":   {evidence{samples: minute(Endpoint{Dropped: by("closed", 2)})}, nil},
		"newer messages": {evidence{samples: minute(Endpoint{Dropped: by("superseded", 2)})}, nil},
		"behind": {evidence{survey: survey{open: 9, behind: 1, oldest: 90 * time.Second, oldestID: "abc"}},
			[]string{"1 connection is behind: the oldest message that waits to be sent is 90 s old, on connection abc."}},
		"few hold the queue": {evidence{survey: survey{open: 5000, queued: 1000, longest: []int{400, 300, 210, 10}}},
			[]string{"3 of 5000 connections hold 91 % of the 1000 messages that wait"}},
		"all hold the queue": {evidence{survey: survey{open: 5000, queued: 100_000, longest: []int{30, 30, 30}}}, nil},
		"broken": {evidence{samples: minute(Endpoint{Closed: by("abnormal", 1), Broken: 1})},
			[]string{"100 % of the 60 connections that ended in the last minute broke, most often with the reason abnormal."}},
		"a third broken": {evidence{samples: minute(Endpoint{Closed: map[string]float64{"normal": 2, "write_error": 1}, Broken: 1})},
			[]string{"33 % of the 180 connections that ended in the last minute broke, most often with the reason write_error."}},
		"reconnects in step": {evidence{samples: storm(480, 300, 100, 80)},
			[]string{"100 % of the 480 connections that ended", "480 connections broke, and 480 came, up to 300 in one second; nearly all were back after 2 s. The clients reconnect in step: give their backoff jitter."}},
		"reconnects spread": {evidence{samples: storm(480, slices.Repeat([]float64{24}, 20)...)},
			[]string{"100 % of the 480 connections that ended", "480 connections broke, and 480 came, up to 24 in one second; nearly all were back after 18 s. The clients reconnect spread over time, as they should."}},
		"reconnects go on": {evidence{samples: storm(480, slices.Repeat([]float64{24}, 12)...)},
			[]string{"100 % of the 480 connections that ended", "480 connections broke, and 288 came, up to 24 in one second; not all are back yet."}},
		"broken for good": {evidence{samples: storm(480, 20)},
			[]string{"100 % of the 480 connections that ended"}},
		"a few of many break and come back": {evidence{samples: storm(40, 40)},
			[]string{"100 % of the 40 connections that ended"}},
		"one age": {evidence{closed: append(closes(80, "abnormal", func(i int) float64 { return 60 + float64(i%3)/3 }), closes(20, "normal", spread)...)},
			[]string{"80 % of the last 100 connections that closed were 60.3 s old: is there an idle timeout in between"}},
		"all at once, soon after a start": {evidence{closed: slices.Repeat(closes(1, "abnormal", func(int) float64 { return 60 }), 100)}, nil},
		"ages of all kinds":               {evidence{closed: closes(100, "abnormal", spread)}, nil},
		"a deploy":                        {evidence{closed: closes(100, "shutdown", func(int) float64 { return 60 })}, nil},
		"short requests":                  {evidence{closed: closes(100, "normal", func(int) float64 { return 0.1 })}, nil},
		"silent": {evidence{survey: survey{open: 12, silent: 12}},
			[]string{"12 connections have been silent for 5 minutes while pings succeed: the producer may have stalled."}},
		"no pong": {evidence{survey: survey{open: 12, unanswered: 1}},
			[]string{"1 connection has not answered a ping for 10 seconds"}},
		"slow": {evidence{samples: minute(Endpoint{Handling: &Quantiles{0.5, 2.5, 3}})},
			[]string{"Handling a message takes up to 2.5 s (p95) in 60 of the last 60 seconds with messages."}},
		"one slow second": {evidence{samples: append(minute(Endpoint{Handling: &Quantiles{}}), minute(Endpoint{Handling: &Quantiles{9, 9, 9}})[0])}, nil},
		"nearly full": {evidence{samples: minute(Endpoint{Open: 900, Limit: 1000})},
			[]string{"900 of 1000 connections of chat are in use"}},
		"the worst first": {evidence{
			survey:  survey{open: 10, silent: 10},
			samples: minute(Endpoint{Dropped: by("queue_full", 1)}),
		}, []string{"60 messages were dropped", "10 connections have been silent"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for i, f := range tt.evidence.findings() {
				text := f.Text
				if i < len(tt.want) && strings.HasPrefix(text, tt.want[i]) {
					text = tt.want[i]
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
