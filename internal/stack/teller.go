package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/progress"
)

// tellEvery is how often the teller writes what has changed, and looks whether somebody wants the stack to stop.
const tellEvery = 200 * time.Millisecond

// teller keeps the file that tells what the stack is doing, and stops the stack when asked to. Only who holds the lock
// of the data directory may have one.
type teller struct {
	in    places
	run   string // names this run
	stop  func()
	quit  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	state   progress.State
	changed bool
}

// tell writes the first state and keeps the file up to date until end. It calls stop when "sockscope down" asks for it.
func tell(in places, list []service, stop func()) (*teller, error) {
	now := time.Now()
	t := &teller{in: in, stop: stop, quit: make(chan struct{}), state: progress.State{
		PID: os.Getpid(), Started: now, Services: make(map[string]progress.Service),
	}}
	for _, s := range list {
		t.state.Services[s.name] = progress.Service{Stage: progress.Waiting, Since: now}
	}
	t.run = nameOf(t.state)
	if err := t.state.Write(in.progress()); err != nil {
		return nil, err
	}
	t.ended.Go(t.keepWriting)
	return t, nil
}

func (t *teller) keepWriting() {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.write()
			if stopRequested(t.in, t.run) {
				t.stop()
			}
		case <-t.quit:
			return
		}
	}
}

// write writes the state if it has changed. An error is tried again with the next change: the stack itself does not
// need the file.
func (t *teller) write() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed {
		t.changed = t.state.Write(t.in.progress()) != nil
	}
}

// set notes what a service is doing.
func (t *teller) set(name string, stage progress.Stage, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state.Services[name]
	if s.Stage != stage {
		s.Since = time.Now()
	}
	s.Stage, s.Detail = stage, detail
	s.WasReady = s.WasReady || stage == progress.Ready
	t.state.Services[name] = s
	t.state.Complete = true
	for _, s := range t.state.Services {
		t.state.Complete = t.state.Complete && s.WasReady
	}
	t.changed = true
}

// runs notes the process of a service, 0 when it has ended.
func (t *teller) runs(name string, pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state.Services[name]
	s.PID = pid
	t.state.Services[name] = s
	t.changed = true
}

// end removes the file: a stack that has ended is doing nothing.
func (t *teller) end() {
	close(t.quit)
	t.ended.Wait()
	_ = os.Remove(t.in.progress()) // a file that stays is older than the next lock
	_ = os.Remove(t.in.stopRequest())
}

// stopRequest is the file by which a running stack is asked to stop. A signal would need a process id, which may
// meanwhile be somebody else's.
func (p places) stopRequest() string { return filepath.Join(p.data, "stop") }

// nameOf names one run of a stack.
func nameOf(s progress.State) string {
	return strconv.Itoa(s.PID) + " " + strconv.FormatInt(s.Started.UnixNano(), 10)
}

// requestStop asks this very run of the stack to stop.
func requestStop(in places, run string) error {
	return os.WriteFile(in.stopRequest(), []byte(run), 0o600)
}

// stopRequested tells whether this very run is asked to stop.
func stopRequested(in places, run string) bool {
	content, err := os.ReadFile(in.stopRequest())
	return err == nil && string(content) == run
}
