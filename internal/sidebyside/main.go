// Command sidebyside measures the demo's transports in turns, each with a demo of its own: bytes and processor time for
// each delivery, latency, memory for each client, and the time until a client that hangs is noticed. docs/transports.md
// says how to run it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sockscope/sockscope/internal/transport"
)

// plan is what is measured.
type plan struct {
	sockscope, nginx string // programs
	subscribers      int
	size             int // of a message's text
	time             time.Duration
	rounds           int
	settle           time.Duration
	heartbeat        time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("sidebyside", flag.ContinueOnError)
	flags.StringVar(&p.sockscope, "sockscope", "", "the program sockscope, whose demo is measured")
	flags.StringVar(&p.nginx, "nginx", "", "the program nginx, to measure through it as well")
	flags.IntVar(&p.subscribers, "subscribers", 1000, "clients of each transport")
	flags.IntVar(&p.size, "size", 128, "bytes of a message's text, 32 at least")
	flags.DurationVar(&p.time, "time", 5*time.Second, "for how long a transport is measured at a time")
	flags.IntVar(&p.rounds, "rounds", 3, "how often each transport is measured")
	flags.DurationVar(&p.settle, "settle", 5*time.Second, "how long idle clients wait before memory is measured")
	flags.DurationVar(&p.heartbeat, "heartbeat", 0, "measure the time until a client that hangs is noticed, with this time between pings; takes a few of them (default not)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.sockscope == "" {
		return fmt.Errorf("give -sockscope, the program that `go build ./cmd/sockscope` makes")
	}
	if p.size < markSize {
		return fmt.Errorf("a text of %d bytes: give %d or more", p.size, markSize)
	}
	if err := p.compare(ctx, "directly", "", out); err != nil {
		return err
	}
	if p.nginx != "" {
		if err := p.compare(ctx, "through nginx", p.nginx, out); err != nil {
			return err
		}
	}
	if p.heartbeat > 0 {
		return p.notice(ctx, out)
	}
	return nil
}

// compare measures all transports in turns, and prints the median of each figure.
func (p *plan) compare(ctx context.Context, how, nginx string, out io.Writer) error {
	results := map[transport.Name][]result{}
	for range p.rounds {
		for _, over := range transport.Names() {
			r, err := p.measure(ctx, over, nginx)
			if err != nil {
				return fmt.Errorf("%s: %w", over, err)
			}
			results[over] = append(results[over], r)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\tbytes/message\tmessages/s per core\tp50\tp99\tKiB/client\t\n", how)
	for _, over := range transport.Names() {
		all := results[over]
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.1f ms\t%.1f ms\t%.1f\t\n", over, median(all, result.bytes), median(all, result.perCore),
			median(all, result.p50), median(all, result.p99), median(all, result.memory))
	}
	return w.Flush()
}

// notice prints how long the demo takes to notice a client of each transport that hangs.
func (p *plan) notice(ctx context.Context, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\na ping every %v\tnoticed after\t\n", p.heartbeat)
	for _, over := range transport.Names() {
		if over == transport.Poll {
			continue // there is no connection that hangs
		}
		took, noticed, err := p.noticed(ctx, over)
		if err != nil {
			return fmt.Errorf("%s: %w", over, err)
		}
		text := fmt.Sprintf("%.1f s", took.Seconds())
		if !noticed {
			text = "not within " + text
		}
		fmt.Fprintf(w, "%s\t%s\t\n", over, text)
	}
	return w.Flush()
}

func median(results []result, of func(result) float64) float64 {
	all := make([]float64, 0, len(results))
	for _, r := range results {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
