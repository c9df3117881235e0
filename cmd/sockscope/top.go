package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/top"
)

// topFlags are the settings of the top command.
type topFlags struct {
	options    top.Options
	sort       string
	interval   time.Duration
	once, json bool
}

func newTopCommand() *cobra.Command {
	f := topFlags{}
	cmd := &cobra.Command{
		Use:   "top [URL...]",
		Short: "Show the live connections of services in the terminal",
		Long: `Show the live connections of services that mount the live console (package
instrument/console), the worst first, and say in plain words what looks wrong. Give
the address of the console of each instance. The default is the demo on this
machine.

On a terminal the table is updated until Ctrl-C. Elsewhere it is printed once per
interval. Orders of --sort:

  behind   the oldest message in the send queue
  silent   the longest time without a message
  rtt      the longest round trip of a ping, unanswered ones first
  busy     the most messages per second
  newest   the last to open`,
		Example: `  sockscope top
  sockscope top --sort busy http://10.0.0.7:8080/debug/realtime/ http://10.0.0.8:8080/debug/realtime/
  sockscope top --once --json | jq '.connections[0]'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.options.Consoles, f.options.Sort = args, console.Sort(f.sort)
			if len(args) == 0 {
				f.options.Consoles = []string{"http://" + endpoint.Local(0).Demo + "/debug/realtime/"}
			}
			f.options.Client = &http.Client{Timeout: 5 * time.Second}
			return runTop(cmd.Context(), f, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.sort, "sort", string(console.SortBehind), "order of the table: behind, silent, rtt, busy or newest")
	flags.IntVar(&f.options.Limit, "limit", 20, "rows of the table, at most 500")
	flags.StringVar(&f.options.Search, "id", "", "show only connections whose id contains this")
	flags.DurationVar(&f.interval, "interval", 2*time.Second, "time between two looks")
	flags.BoolVar(&f.once, "once", false, "print one table, over one interval, and fail if no instance answers")
	flags.BoolVar(&f.json, "json", false, "print JSON lines")
	return cmd
}

func runTop(ctx context.Context, f topFlags, out io.Writer) error {
	if f.interval < time.Second {
		return fmt.Errorf("--interval is %v: give a second or more", f.interval)
	}
	file, isFile := out.(*os.File)
	screen := isFile && !f.json && !f.once && term.IsTerminal(int(file.Fd()))
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	if f.once { // rates need a look before
		if _, err := top.Look(ctx, f.options); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	for {
		view, err := top.Look(ctx, f.options)
		if f.once && err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		var text bytes.Buffer
		switch {
		case f.json:
			err = json.NewEncoder(&text).Encode(view)
		case screen:
			width, height, sizeErr := term.GetSize(int(file.Fd()))
			if sizeErr != nil {
				width, height = 80, 24
			}
			text.WriteString("\x1b[H\x1b[2J") // from the top of an empty screen
			err = top.Render(&text, view, width)
			text = *bytes.NewBuffer(firstLines(text.Bytes(), height-1))
		default:
			err = top.Render(&text, view, 0)
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(text.Bytes()); err != nil || f.once {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// firstLines are as many of the text as fit on the screen.
func firstLines(text []byte, n int) []byte {
	end := 0
	for range n {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			return text
		}
		end += i + 1
	}
	return text[:end]
}
