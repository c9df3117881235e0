package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is its own program to supervise: with this variable set it serves its process id on the address that
// the variable names.
const serveVariable = "SUPERVISE_TEST_SERVE"

func TestMain(m *testing.M) {
	if address := os.Getenv(serveVariable); address != "" {
		os.Exit(serve(address))
	}
	// lumberjack never ends the goroutine that removes old files.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

func serve(address string) int {
	if os.Getenv("STUBBORN") != "" {
		signal.Ignore(syscall.SIGTERM)
	}
	fmt.Println("serving on", address)
	stop := make(chan os.Signal, 1)
	if os.Getenv("STUBBORN") == "" {
		signal.Notify(stop, syscall.SIGTERM)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) {
		fmt.Println("last words")
		os.Exit(3)
	})
	go func() { _ = http.ListenAndServe(address, mux) }()
	<-stop
	fmt.Println("stopped in order")
	return 0
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func selfProgram(t *testing.T, env ...string) (Program, string) {
	t.Helper()
	address := freeAddress(t)
	return Program{
		Name:        "self",
		Path:        os.Args[0],
		Env:         append(env, serveVariable+"="+address),
		Log:         filepath.Join(t.TempDir(), "self.log"),
		Ready:       "http://" + address + "/pid",
		StopTimeout: 10 * time.Second,
	}, address
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	http.DefaultClient.CloseIdleConnections()
	return string(body)
}

func TestRestartsWhatDies(t *testing.T) {
	program, address := selfProgram(t)
	events := make(chan Event, 100)
	process := Run(program, func(e Event) { events <- e })
	defer process.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := process.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	first := get(t, program.Ready)
	get(t, "http://"+address+"/die")

	want := []Kind{Started, Ready, Exited, Started, Ready}
	for i, kind := range want {
		select {
		case e := <-events:
			if e.Kind != kind {
				t.Fatalf("event %d is %+v, want kind %d", i, e, kind)
			}
			if kind != Exited {
				continue
			}
			if e.Err == nil || e.Err.Error() != "exit status 3" {
				t.Errorf("exit reported as %v", e.Err)
			}
			if len(e.Tail) == 0 || e.Tail[len(e.Tail)-1] != "last words" {
				t.Errorf("tail is %q", e.Tail)
			}
		case <-ctx.Done():
			t.Fatalf("no event %d", i)
		}
	}
	if second := get(t, program.Ready); second == "" || second == first {
		t.Errorf("process id %q after the restart, %q before", second, first)
	}
}

func TestStopLetsTheProgramFinish(t *testing.T) {
	program, _ := selfProgram(t)
	process := Run(program, func(Event) {})
	if err := process.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	process.Stop()
	process.Stop() // harmless
	log, err := os.ReadFile(program.Log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "stopped in order") {
		t.Errorf("log is %q", log)
	}
	if get(t, program.Ready) != "" {
		t.Error("the program still answers")
	}
}

func TestStopKillsWhatWillNot(t *testing.T) {
	program, _ := selfProgram(t, "STUBBORN=1")
	program.StopTimeout = 200 * time.Millisecond
	process := Run(program, func(Event) {})
	if err := process.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	process.Stop()
	if get(t, program.Ready) != "" {
		t.Error("the program still answers")
	}
}

func TestNeverReady(t *testing.T) {
	program, _ := selfProgram(t)
	program.Ready += "/nothing-here"
	process := Run(program, func(Event) {})
	defer process.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := process.WaitReady(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), program.Log) {
		t.Errorf("error is %v", err)
	}
}

func TestMissingProgram(t *testing.T) {
	program, _ := selfProgram(t)
	program.Path = "/does/not/exist"
	events := make(chan Event, 10)
	process := Run(program, func(e Event) { events <- e })
	defer process.Stop()
	if e := <-events; e.Kind != Exited || !errors.Is(e.Err, os.ErrNotExist) {
		t.Errorf("event is %+v", e)
	}
	if err := process.WaitReady(t.Context()); err == nil || !strings.Contains(err.Error(), "does not start") {
		t.Errorf("waiting for it ends with %v", err)
	}
}

func TestTailIsBounded(t *testing.T) {
	var last tail
	for i := range 100 {
		fmt.Fprintf(&last, "line %d", i)
		fmt.Fprint(&last, strings.Repeat("x", 1000), "\n")
	}
	fmt.Fprint(&last, "unfinished")
	lines := last.lines()
	if len(lines) != tailLines+1 || lines[tailLines] != "unfinished" {
		t.Fatalf("%d lines, last %q", len(lines), lines[len(lines)-1])
	}
	if len(lines[0]) != tailLineSize || !strings.HasPrefix(lines[0], "line 85x") {
		t.Errorf("first line is %q", lines[0])
	}
}
