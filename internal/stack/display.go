package stack

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/sockscope/sockscope/internal/component"
	"github.com/sockscope/sockscope/internal/progress"
)

// Display shows how the start goes: on a terminal as a table that is kept up to date, elsewhere as a line for each
// change.
type Display struct {
	w     io.Writer
	table bool
	width func() int // of the terminal

	mu     sync.Mutex
	began  time.Time
	rows   []*row
	drawn  int // lines of the table on the terminal, 0 if there is none
	isUp   bool
	ticker chan struct{}
	ended  sync.WaitGroup
}

// row is what the display knows of a service.
type row struct {
	name, title string
	stage       progress.Stage
	detail      string
	since       time.Time
	printed     time.Time
}

const (
	redrawEvery  = 250 * time.Millisecond
	detailsEvery = 15 * time.Second // of a long step, where lines are printed
)

// NewDisplay returns a display that writes to f.
func NewDisplay(f *os.File) *Display {
	return &Display{
		w:     f,
		table: term.IsTerminal(int(f.Fd())),
		width: func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return width
		},
	}
}

// begin shows the services that are going to be started.
func (d *Display) begin(list []service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.began = time.Now()
	for _, s := range list {
		d.rows = append(d.rows, &row{name: s.name, title: s.title, stage: progress.Waiting, since: d.began})
	}
	if !d.table {
		return
	}
	d.ticker = make(chan struct{})
	d.ended.Go(func() {
		for {
			select {
			case <-time.After(redrawEvery):
				d.mu.Lock()
				d.draw()
				d.mu.Unlock()
			case <-d.ticker:
				return
			}
		}
	})
}

// end leaves the terminal as it is.
func (d *Display) end() {
	if d.ticker != nil {
		close(d.ticker)
		d.ended.Wait()
	}
}

// set says what a service is doing.
func (d *Display) set(name string, stage progress.Stage, detail string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rows {
		if r.name != name {
			continue
		}
		now := time.Now()
		changed := r.stage != stage
		if changed {
			r.since = now
		}
		r.stage, r.detail = stage, detail
		if (!d.table || d.isUp) && (changed || (detail != "" && now.Sub(r.printed) > detailsEvery)) {
			r.printed = now
			d.println(r.title + ": " + r.says())
		}
	}
}

// building says that a first start takes longer, what comes when, and what there is at once.
func (d *Display) building(list []service, missing []component.Component, cache string) {
	var names []string
	for _, c := range missing {
		names = append(names, c.Name)
	}
	d.Printf("Building %s, in this order. Only the first start does.", strings.Join(names, ", "))
	d.Printf("The binaries are kept in %s.", cache)
	for _, s := range list {
		if s.component == self {
			d.Printf("%s is there at once: %s", s.title, s.address)
		}
	}
}

func (d *Display) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isUp
}

// Printf prints a line.
func (d *Display) Printf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
	d.println(fmt.Sprintf(format, args...))
	d.draw()
}

// says is the stage and its detail in one phrase, as in "ready in 0.5 s". The detail of a build is one by itself.
func (r *row) says() string {
	if r.stage == progress.Building && r.detail != "" {
		return r.detail
	}
	return strings.TrimSpace(string(r.stage) + " " + r.detail)
}

// println prints a line with the time since the start.
func (d *Display) println(line string) {
	fmt.Fprintf(d.w, "%7.1fs  %s\n", time.Since(d.began).Seconds(), line)
}

// clear takes the table off the terminal, draw puts it there.
func (d *Display) clear() {
	if d.drawn > 0 {
		fmt.Fprintf(d.w, "\x1b[%dA\x1b[J", d.drawn)
		d.drawn = 0
	}
}

func (d *Display) draw() {
	if !d.table || d.isUp {
		return
	}
	d.clear()
	width := d.width()
	for _, r := range d.rows {
		mark := " "
		if r.stage == progress.Ready {
			mark = "✓"
		}
		line := fmt.Sprintf("%s %-24s %-10s %s", mark, r.title, r.stage, r.detail)
		if r.stage != progress.Ready && r.stage != progress.Waiting {
			line = fmt.Sprintf("%s (%.0f s)", strings.TrimRight(line, " "), time.Since(r.since).Seconds())
		}
		if cut := []rune(line); len(cut) >= width {
			line = string(cut[:max(0, width-1)]) // a line that wraps can't be drawn over
		}
		fmt.Fprintln(d.w, line)
	}
	fmt.Fprintf(d.w, "%.0f s\n", time.Since(d.began).Seconds())
	d.drawn = len(d.rows) + 1
}

// up shows where everything is, and a hint unless it is empty.
func (d *Display) up(list []service, hint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
	d.isUp = true
	d.println("Everything is ready.")
	fmt.Fprintln(d.w)
	table := tabwriter.NewWriter(d.w, 0, 0, 2, ' ', 0)
	for _, s := range list {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", s.title, s.address, s.see)
	}
	_ = table.Flush() // the terminal is gone if this fails, and nobody reads
	if hint != "" {
		fmt.Fprintf(d.w, "\n  %s\n", hint)
	}
	fmt.Fprintln(d.w)
}
