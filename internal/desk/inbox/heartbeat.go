package inbox

import (
	"fmt"
	"slices"
	"time"
)

// HeartbeatAlert is the alert that always fires, so that its silence tells that alerting is broken.
const HeartbeatAlert = "Watchdog"

// SilenceAlert is what the inbox raises itself when a heartbeat stays away.
const SilenceAlert = "WatchdogSilent"

// firstInterval is how long a heartbeat may stay away before its own rhythm is known.
const firstInterval = 5 * time.Minute

// Heartbeat is the one line that stands for all notifications of an alert that always fires.
type Heartbeat struct {
	Group
	Seen     int           // how many of them are kept
	Silence  time.Duration // since the last one
	Interval time.Duration // how often they come; 0 until that is known
	Late     bool          // overdue, or resolved, which must never happen
	Awaited  bool          // none yet since the inbox was started, and none overdue
}

// newHeartbeat judges a heartbeat's group. The inbox could hear nothing before it was started, so that lateness counts
// from then.
func newHeartbeat(g Group, started, now time.Time) Heartbeat {
	h := Heartbeat{Group: g, Seen: len(g.Events), Silence: now.Sub(g.Latest.Received), Interval: interval(g.Events)}
	expected := h.Interval
	if expected == 0 {
		expected = firstInterval
	}
	listening := min(h.Silence, now.Sub(started))
	h.Late = listening > overdue(expected) || !g.Open()
	h.Awaited = !h.Late && g.Latest.Received.Before(started)
	return h
}

// CheckHeartbeats is the dead man's switch: it raises an alarm for each heartbeat that is late, and ends it when the
// heartbeat is back. A heartbeat that has never come can't be late. Call it every few seconds.
func (in *Inbox) CheckHeartbeats() {
	for _, h := range in.View().Heartbeats {
		alarm := Notification{
			Source: Desk, Receiver: "dead man's switch", Accepted: true,
			Alert: SilenceAlert, Severity: "critical", Key: h.ID,
			Links: []Link{{Text: "Runbook", Href: "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/" + HeartbeatAlert + ".md"}},
		}
		raised := in.isOpen(alarm.groupID())
		switch {
		case h.Late && !raised:
			alarm.Event = Trigger
			alarm.Summary = fmt.Sprintf("No %s for %s: alerts may be reaching nobody", HeartbeatAlert, h.Silence.Truncate(time.Second))
			in.Add(alarm)
			in.log.Error("the heartbeat is late: alerts may be reaching nobody", "alert", HeartbeatAlert, "receiver", h.Latest.Receiver, "silence", h.Silence.Truncate(time.Second).String())
		case !h.Late && !h.Awaited && raised:
			alarm.Event = Resolve
			alarm.Summary = HeartbeatAlert + " is back: alerts reach this inbox again"
			in.Add(alarm)
			in.log.Info("the heartbeat is back", "alert", HeartbeatAlert, "receiver", h.Latest.Receiver)
		}
	}
}

// overdue is the silence after which a heartbeat of that interval is late: one may be lost, and Alertmanager's own
// timers add some seconds.
func overdue(interval time.Duration) time.Duration {
	return max(2*interval, interval+30*time.Second)
}

// interval is the median distance of the events, given newest first, so that an outage among them does not count.
func interval(events []Notification) time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(events); i++ {
		gaps = append(gaps, events[i-1].Received.Sub(events[i].Received))
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}
