// Command fanout compares how the demo and Centrifugo deliver the messages of one room to thousands of subscribers. It
// starts both, connects the subscribers to both, and measures them in turns. docs/fanout.md says how to run it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sockscope/sockscope/internal/process"
)

// plan is what is measured.
type plan struct {
	subscribers int
	outstanding []int // messages that are on their way at the same time
	size        int   // of a message, with all that the server adds
	time        time.Duration
	rounds      int
	settle      time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("fanout", flag.ContinueOnError)
	demo := flags.String("sockscope", "", "the program sockscope, whose demo is measured")
	centrifugo := flags.String("centrifugo", "", "the program centrifugo; without it the demo is measured alone")
	outstanding := flags.String("outstanding", "1,4,16,64", "messages that are on their way at the same time")
	flags.IntVar(&p.subscribers, "subscribers", 5000, "connections to each server")
	flags.IntVar(&p.size, "size", 512, "bytes of a message as a subscriber gets it")
	flags.DurationVar(&p.time, "time", 5*time.Second, "for how long one server is measured at a time")
	flags.IntVar(&p.rounds, "rounds", 5, "how often each server is measured for each number of messages")
	flags.DurationVar(&p.settle, "settle", 10*time.Second, "how long idle connections wait before memory is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for text := range strings.SplitSeq(*outstanding, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("outstanding is %q: give numbers from 1 on", *outstanding)
		}
		p.outstanding = append(p.outstanding, n)
	}
	if *demo == "" {
		return fmt.Errorf("give -sockscope, the program that `go build ./cmd/sockscope` makes")
	}
	subjects := []subject{newDemo(*demo)}
	if *centrifugo != "" {
		subjects = append(subjects, newCentrifugo(*centrifugo))
	}
	return p.compare(ctx, subjects, out)
}

// compare measures all subjects in turns.
func (p *plan) compare(ctx context.Context, subjects []subject, out io.Writer) error {
	var rooms []*room
	for _, s := range subjects {
		server, err := process.Start(ctx, s.name(), s.command)
		if err != nil {
			return err
		}
		defer server.Stop()
		r, err := p.fill(ctx, s, server, out)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		defer r.empty()
		rooms = append(rooms, r)
	}
	for _, n := range p.outstanding {
		results := make([][]result, len(rooms)) // by room and round
		for range p.rounds {
			for i, r := range rooms {
				got, err := r.measure(ctx, n, p.time)
				if err != nil {
					return fmt.Errorf("%s with %d outstanding messages: %w", r.subject.name(), n, err)
				}
				results[i] = append(results[i], got)
			}
		}
		report(out, n, rooms, results)
	}
	return nil
}

// fill connects the subscribers and says what they take while nothing happens.
func (p *plan) fill(ctx context.Context, s subject, server *process.Process, out io.Writer) (*room, error) {
	r, err := open(ctx, s, server, p.size)
	if err != nil {
		return nil, err
	}
	before, err := server.Memory()
	if err != nil {
		return nil, err
	}
	if err := r.connect(ctx, p.subscribers); err != nil {
		return nil, err
	}
	select {
	case <-time.After(p.settle):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	after, err := server.Memory()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%s: %.1f KiB of resident memory for each of %d idle connections\n",
		s.name(), float64(after-before)/1024/float64(p.subscribers), p.subscribers)
	return r, nil
}

// report prints the median of each figure and, for all rooms but the first, the median of the first's by this one's of
// the same round.
func report(out io.Writer, outstanding int, rooms []*room, results [][]result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%d outstanding\tdeliveries/s\tCPU per delivery\tp50\tp99\t\n", outstanding)
	for i, r := range rooms {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f µs\t%.1f ms\t%.1f ms\t\n", r.subject.name(),
			median(results[i], result.rate), median(results[i], result.cpu), median(results[i], result.p50), median(results[i], result.p99))
	}
	for i := 1; i < len(rooms); i++ {
		ratio := func(of func(result) float64) float64 {
			var all []float64
			for round, first := range results[0] {
				all = append(all, of(first)/of(results[i][round]))
			}
			return middle(all)
		}
		fmt.Fprintf(w, "%s by %s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", rooms[0].subject.name(), rooms[i].subject.name(),
			ratio(result.rate), ratio(result.cpu), ratio(result.p50), ratio(result.p99))
	}
	_ = w.Flush()
}

func median(results []result, of func(result) float64) float64 {
	var all []float64
	for _, r := range results {
		all = append(all, of(r))
	}
	return middle(all)
}

func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
