package stack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/progress"
)

// With this variable set the test binary holds the data directory that the variable names, as a stack does, until it is
// asked to stop.
const holdVariable = "STACK_TEST_HOLD"

func hold(data string) int {
	lock := dataLock(data)
	if locked, err := lock.TryLock(); !locked || err != nil {
		fmt.Println("not locked:", err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	t, err := tell(placesIn(data), []service{{name: "demo"}, {name: "jaeger"}}, cancel)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	<-ctx.Done()
	t.end()
	return 0
}

// holder runs another process that holds the data directory.
func holder(t *testing.T, data string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdVariable+"="+data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return cmd
}

func running(t *testing.T, data string) bool {
	t.Helper()
	running, err := Running(data)
	if err != nil {
		t.Fatal(err)
	}
	return running
}

func TestDown(t *testing.T) {
	data := t.TempDir()
	if stopped, err := Down(t.Context(), data); stopped || err != nil {
		t.Errorf("Down of nothing = %v, %v", stopped, err)
	}
	cmd := holder(t, data)
	if !running(t, data) || running(t, t.TempDir()) {
		t.Error("Running takes one directory for another")
	}
	if stopped, err := Down(t.Context(), data); !stopped || err != nil {
		t.Fatalf("Down = %v, %v", stopped, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the stack ended with %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(data, "*")); err != nil || len(left) != 1 {
		t.Errorf("left are %v, want the lock (%v)", left, err)
	}
}

// TestDownOfWhatWasKilled leaves behind a state with the id of a process that may be somebody else's by now: this
// test's own.
func TestDownOfWhatWasKilled(t *testing.T) {
	data := t.TempDir()
	cmd := holder(t, data)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	in := placesIn(data)
	state, err := progress.Read(in.progress())
	if err != nil {
		t.Fatal(err)
	}
	state.PID = os.Getpid()
	if err := state.Write(in.progress()); err != nil {
		t.Fatal(err)
	}
	if running(t, data) {
		t.Error("a stack that was killed is said to run")
	}
	if stopped, err := Down(t.Context(), data); stopped || err != nil {
		t.Errorf("Down = %v, %v", stopped, err)
	}
	if _, err := Status(t.Context(), data); err == nil || !strings.Contains(err.Error(), "no stack is using") {
		t.Errorf("Status = %v", err)
	}
}

func TestDownGivesUp(t *testing.T) {
	data := t.TempDir()
	lock := dataLock(data) // held by somebody who does not stop
	if locked, err := lock.TryLock(); !locked || err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	ctx, cancel := context.WithTimeout(t.Context(), 3*lookEvery)
	defer cancel()
	if stopped, err := Down(ctx, data); stopped || err == nil || !strings.Contains(err.Error(), "wait for the stack") {
		t.Errorf("Down = %v, %v", stopped, err)
	}
}

// eventually waits until the condition holds: a file has no event to await.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if condition() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("not within 20 s: %s", what)
}

func TestTeller(t *testing.T) {
	in := placesIn(t.TempDir())
	asked := make(chan struct{}, 100)
	tells, err := tell(in, []service{{name: "demo"}, {name: "jaeger"}}, func() { asked <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	read := func() progress.State {
		state, err := progress.Read(in.progress())
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	first := read()
	if first.Complete || first.PID != os.Getpid() || first.Services["jaeger"].Stage != progress.Waiting {
		t.Errorf("the first state is %+v", first)
	}
	tells.set("jaeger", progress.Building, "compiling, 1 of 2 packages")
	tells.set("jaeger", progress.Building, "compiling, 2 of 2 packages")
	eventually(t, "the detail", func() bool { return read().Services["jaeger"].Detail == "compiling, 2 of 2 packages" })
	building := read().Services["jaeger"]
	tells.set("jaeger", progress.Building, "linking")
	eventually(t, "linking", func() bool { return read().Services["jaeger"].Detail == "linking" })
	if again := read().Services["jaeger"]; !again.Since.Equal(building.Since) || again.WasReady {
		t.Errorf("%+v became %+v", building, again)
	}
	tells.set("demo", progress.Ready, "")
	tells.set("jaeger", progress.Ready, "")
	eventually(t, "completion", func() bool { return read().Complete })
	tells.set("jaeger", progress.Restarting, "after signal: killed")
	eventually(t, "the restart", func() bool { return read().Services["jaeger"].Stage == progress.Restarting })
	if s := read(); !s.Complete || !s.Services["jaeger"].WasReady {
		t.Errorf("what was ready is forgotten: %+v", s)
	}

	if err := requestStop(in, "1 2"); err != nil { // another run
		t.Fatal(err)
	}
	select {
	case <-asked:
		t.Error("stopped for another run's sake")
	case <-time.After(3 * tellEvery):
	}
	if err := requestStop(in, nameOf(first)); err != nil {
		t.Fatal(err)
	}
	<-asked
	tells.end()
	for _, file := range []string{in.progress(), in.stopRequest()} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", file, err)
		}
	}
}

func TestLogs(t *testing.T) {
	data := t.TempDir()
	in := placesIn(data)
	if err := Logs(t.Context(), io.Discard, data, "demo", false); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("Logs of no stack = %v", err)
	}
	for _, dir := range []string{in.settings, filepath.Dir(in.log("demo"))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeComponents(in.components(), []service{{name: "demo", title: "Demo", ready: "http://127.0.0.1:1"}}, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"demo": "there is no log of demo yet", "up": "there is no log of up yet", "../x": "take one of up, demo"} {
		if err := Logs(t.Context(), io.Discard, data, name, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Logs of %s = %v, want %q", name, err, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Logs(ctx, w, data, "demo", true)
		_ = w.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(r)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("read %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
	printTo := func(line string) {
		t.Helper()
		f, err := os.OpenFile(in.log("demo"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, line)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	printTo("first")
	expect("first")
	printTo("second")
	expect("second")
	printTo("last of the old file")
	if err := os.Rename(in.log("demo"), in.log("demo")+".1"); err != nil {
		t.Fatal(err)
	}
	printTo("first of the new file")
	expect("last of the old file")
	expect("first of the new file")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Logs ended with %v", err)
	}
	var out strings.Builder
	if err := Logs(t.Context(), &out, data, "demo", false); err != nil || out.String() != "first of the new file\n" {
		t.Errorf("Logs = %q, %v", out.String(), err)
	}
}

func TestLastWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "up.log")
	for content, want := range map[string]string{
		"  0.1s  Desk: starting\nsockscope: it is taken:\nstop it\n": "it is taken:\nstop it",
		"  0.1s  Desk: starting\n":                                   "the stack has ended; see " + log,
	} {
		if err := os.WriteFile(log, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := lastWords(log); err == nil || err.Error() != want {
			t.Errorf("the last words of %q are %q, want %q", content, err, want)
		}
	}
}
