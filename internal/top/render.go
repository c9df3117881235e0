package top

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sockscope/sockscope/instrument/console"
)

// Render writes the view as text, each line cut to the width (0: not cut).
func Render(w io.Writer, v View, width int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", v.Time.Format(time.TimeOnly), now(v))
	for _, i := range v.Instances {
		switch {
		case i.Error != "":
			fmt.Fprintf(&b, "! %s\n", i.Error)
		case len(v.Instances) > 1:
			fmt.Fprintf(&b, "  %s  %d open\n", i.Name, i.Open)
		}
	}
	for _, f := range v.Findings {
		if len(v.Instances) > 1 {
			fmt.Fprintf(&b, "* %s: %s\n", f.Instance, f.Text)
		} else {
			fmt.Fprintf(&b, "* %s\n", f.Text)
		}
	}
	b.WriteByte('\n')
	if err := table(&b, v); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(w, cut(line, width)); err != nil {
			return err
		}
	}
	return nil
}

func table(w io.Writer, v View) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "CONNECTION\tENDPOINT\tSTATE\tAGE\tRTT\tIN/S\tOUT/S\tIN\tOUT\tQUEUE\tOLDEST\tLAST IN\tLAST OUT\t")
	for _, c := range v.Connections {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n",
			c.ID, c.Namespace+"·"+c.Protocol, c.State, duration(c.Age), roundTrip(c.Connection),
			rate(c.ReceivedPerSecond), rate(c.SentPerSecond), c.ReceivedMessages, c.SentMessages,
			queue(c.Connection), oldest(c.Connection), since(c.SinceReceived), since(c.SinceSent))
	}
	return t.Flush()
}

// now describes all endpoints together.
func now(v View) string {
	var opened, closed, received, sent, dropped float64
	for _, e := range v.Now.Endpoints {
		opened += e.Opened
		received += e.Received
		sent += e.Sent
		for _, n := range e.Closed {
			closed += n
		}
		for _, n := range e.Dropped {
			dropped += n
		}
	}
	text := fmt.Sprintf("%d open", v.Open)
	if v.Now.Seconds > 0 { // there is a sample before the newest
		text += fmt.Sprintf("  +%.3g −%.3g connections/s  %.3g in %.3g out messages/s", opened, closed, received, sent)
	}
	if dropped > 0 {
		text += fmt.Sprintf("  %.3g dropped/s", dropped)
	}
	return text
}

func roundTrip(c console.Connection) string {
	switch {
	case c.Unanswered >= 10:
		return ">" + duration(c.Unanswered)
	case c.RTT == 0:
		return "–"
	default:
		return duration(c.RTT)
	}
}

func queue(c console.Connection) string {
	if c.QueueCapacity == 0 {
		return fmt.Sprint(c.Queued)
	}
	return fmt.Sprintf("%d/%d", c.Queued, c.QueueCapacity)
}

func oldest(c console.Connection) string {
	if c.Queued == 0 {
		return "–"
	}
	return duration(c.QueueOldest)
}

func rate(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.3g", *v)
}

func since(v *float64) string {
	if v == nil {
		return "–"
	}
	return duration(*v)
}

// duration writes seconds with two or three digits.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
	}
}

// cut shortens a line to the width and removes characters that would move a terminal's cursor, because texts come from
// the services.
func cut(line string, width int) string {
	text := strings.Map(func(r rune) rune {
		if r == '\n' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			return r
		}
		return '�'
	}, line)
	runes := []rune(strings.TrimSuffix(text, "\n"))
	if width > 0 && len(runes) > width {
		return string(runes[:width-1]) + "…\n"
	}
	return string(runes) + "\n"
}
