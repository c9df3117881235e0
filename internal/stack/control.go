package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/progress"
	"github.com/sockscope/sockscope/internal/supervise"
)

// lookEvery is how often the commands about a running stack look whether what they wait for has happened.
const lookEvery = 100 * time.Millisecond

// downTimeout bounds how long a stack may take to stop: the services stop one after the other, most of them at once.
const downTimeout = 3 * time.Minute

// dataLock is held by the stack that uses a data directory. The system releases it when the stack's process ends,
// however that happens.
func dataLock(data string) *flock.Flock { return flock.New(filepath.Join(data, "lock")) }

func errInUse(data string) error {
	return fmt.Errorf("another stack is using %s: stop it by sockscope down, or run a second one with --port-offset and its own --data", data)
}

func errNone(data string) error {
	return fmt.Errorf("no stack is using %s: start one by sockscope up, or name another's directory by --data", data)
}

// Running tells whether a stack is using the data directory.
func Running(data string) (bool, error) {
	lock := dataLock(data)
	if _, err := os.Stat(lock.Path()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	free, err := lock.TryRLock()
	if err != nil {
		return false, fmt.Errorf("look whether a stack is using %s: %w", data, err)
	}
	if free {
		err = lock.Unlock()
	}
	return !free, err
}

// Status asks every service of the stack that uses the data directory how it is.
func Status(ctx context.Context, data string) ([]status.Report, error) {
	running, err := Running(data)
	if err != nil {
		return nil, err
	}
	if !running {
		return nil, errNone(data)
	}
	in := placesIn(data)
	list, err := status.Load(in.components())
	if err != nil {
		return nil, fmt.Errorf("%w (it is written when a stack starts: try again)", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	watcher := status.NewWatcher(list, in.progress(), transport)
	watcher.Poll(ctx)
	return watcher.Reports(), ctx.Err()
}

// Down asks the stack that uses the data directory to stop and returns when it has. It returns false if there is none.
func Down(ctx context.Context, data string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	in := placesIn(data)
	asked := "" // which run
	for {
		running, err := Running(data)
		if err != nil {
			return false, err
		}
		if !running {
			return asked != "", nil
		}
		// A stack that takes the lock this moment has not said yet which run it is.
		state, err := progress.Read(in.progress())
		switch {
		case err == nil && asked == "":
			asked = nameOf(state)
			if err := requestStop(in, asked); err != nil {
				return false, fmt.Errorf("ask the stack to stop: %w", err)
			}
		case err == nil && nameOf(state) != asked:
			return true, nil // the next one is running already
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return false, fmt.Errorf("wait for the stack (process %d) to stop: %w; see %s", state.PID, context.Cause(ctx), in.log(upLog))
		}
	}
}

// Detach starts a stack as a process of its own, which outlives this one, by running this program with args, and shows
// how it goes. It returns when every service is ready, or with the error that ended the start. If ctx ends before, it
// stops the stack.
func Detach(ctx context.Context, o Options, args []string) error {
	if running, err := Running(o.Data); err != nil || running {
		return errors.Join(err, errInUse(o.Data))
	}
	in := placesIn(o.Data)
	process, exited, err := o.spawn(in, args)
	if err != nil {
		return fmt.Errorf("start the stack in the background: %w", err)
	}
	list := o.services(in)
	o.Display.begin(list)
	defer o.Display.end()
	for {
		state, err := progress.Read(in.progress())
		if err == nil && state.PID == process.Pid {
			for _, s := range list {
				told := state.Services[s.name]
				o.Display.set(s.name, told.Stage, told.Detail)
			}
			if state.Complete {
				o.Display.up(list, noDashboards(o, in))
				o.Display.Printf(`It runs in the background: "sockscope status" shows it, "sockscope down" stops it.`)
				return nil
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-exited:
			return lastWords(in.log(upLog))
		case <-ctx.Done():
			o.Display.Printf("Stopping.")
			_ = process.Signal(os.Interrupt) // fails only if it has just ended
			<-exited
			return ctx.Err()
		}
	}
}

// spawn runs a copy of this program: "go run" removes its own when it ends.
func (o Options) spawn(in places, args []string) (*os.Process, <-chan struct{}, error) {
	program := filepath.Join(o.Data, "bin", "sockscope")
	for _, dir := range []string{filepath.Dir(program), filepath.Dir(in.log(upLog))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, nil, err
		}
	}
	if err := copyProgram(o.Self, program); err != nil {
		return nil, nil, err
	}
	log, err := os.Create(in.log(upLog))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = supervise.OwnSession()
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what it has to say about its end is in its log
		close(exited)
	}()
	return cmd.Process, exited, nil
}

// copyProgram replaces the file at to, which may be running.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	partial, err := os.CreateTemp(filepath.Dir(to), "*.partial")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = io.Copy(partial, source)
	if err := errors.Join(err, partial.Chmod(0o700), partial.Close()); err != nil {
		return err
	}
	return os.Rename(partial.Name(), to)
}

// lastWords is the error with which "sockscope up" has ended, by its log.
func lastWords(log string) error {
	content, err := os.ReadFile(log)
	if err != nil {
		return fmt.Errorf("the stack has ended: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i, line := range slices.Backward(lines) {
		if words, ok := strings.CutPrefix(line, "sockscope: "); ok {
			return errors.New(strings.Join(append([]string{words}, lines[i+1:]...), "\n"))
		}
	}
	return fmt.Errorf("the stack has ended; see %s", log)
}
