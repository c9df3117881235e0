// Package stack runs the whole observability stack on this machine: the components as processes of their own, with the
// settings of package deploy.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/internal/component"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/progress"
	"github.com/sockscope/sockscope/internal/supervise"
)

// Options say what to run and where.
type Options struct {
	// Deploy is the folder with the components' settings, as package deploy has it.
	Deploy fs.FS
	// Data is where the components keep what they store, from one start to the next. Two stacks can't share it.
	Data string
	// Secrets is a folder with files that take the place of those in deploy/alertmanager/secrets/desk, or empty. A file
	// that isn't there stays the desk's.
	Secrets string
	// SecretValues come before the files in Secrets, by the names of the files.
	SecretValues map[string]string
	// Self is this program, which is also the demo and the desk.
	Self string
	// Version of this program.
	Version string
	// Grafana is the path of a grafana binary, or empty for none.
	Grafana string
	// Loki is the path of a loki binary that keeps log records, or empty for VictoriaLogs, which is built.
	Loki string
	// At are the addresses of the services.
	At endpoint.Set
	// AlertSpeed divides the durations of alert rules and routing, to see alerts sooner than anybody would want in
	// earnest. 1 leaves them.
	AlertSpeed int
	// Store has the components' binaries.
	Store *component.Store
	// Prove is called once everything is ready, to show that it works. Its error doesn't end the stack.
	Prove func(context.Context) error
	// Display shows how it goes.
	Display *Display
}

// How long the services may take. A first start on a slow disk is the longest; the Collector takes up to 30 s to stop
// when a backend is away.
const (
	readyTimeout = 2 * time.Minute
	stopTimeout  = 40 * time.Second
)

// Up starts the stack and keeps it running until ctx ends, then stops it. It returns an error if the stack can't be
// brought up.
func Up(ctx context.Context, o Options) error {
	in := placesIn(o.Data)
	list := o.services(in)
	unlock, err := prepare(o, in, list)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	teller, err := tell(in, list, cancel)
	if err != nil {
		return err
	}
	defer teller.end()

	o.Display.begin(list)
	defer o.Display.end()
	r := &runner{options: o, in: in, teller: teller, processes: make(map[string]*supervise.Process)}
	defer r.stop(list)
	if err := r.start(ctx, list); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	o.Display.up(list, noDashboards(o, in))
	if o.Prove != nil {
		if err := o.Prove(ctx); err != nil && ctx.Err() == nil {
			o.Display.Printf("%v", err)
		}
	}
	if ctx.Err() == nil {
		o.Display.Printf("Ctrl-C stops everything, and so does sockscope down.")
	}
	<-ctx.Done()
	return nil
}

// services lists what the options ask for.
func (o Options) services(in places) []service {
	list := services(o.At, in, o.AlertSpeed, o.Loki)
	if o.Grafana != "" {
		list = append(list, grafana(o.At, in, o.Grafana))
	}
	return list
}

// prepare takes the data directory, writes the settings and makes sure that every port is free.
func prepare(o Options, in places, list []service) (unlock func(), err error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w (name another by --data)", err)
	}
	lock := dataLock(o.Data)
	// Commands that ask whether a stack runs hold the lock for a moment.
	asking, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	locked, err := lock.TryLockContext(asking, 50*time.Millisecond)
	if err != nil && asking.Err() == nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !locked {
		return nil, errInUse(o.Data)
	}
	unlock = func() { _ = lock.Unlock() }
	err = errors.Join(checkPorts(list), renderSettings(o, in))
	if err == nil {
		err = writeComponents(in.components(), list, versions(o.Version))
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func versions(own string) map[string]string {
	versions := map[string]string{self: own}
	for _, c := range component.Services() {
		versions[c.Name] = c.Version
	}
	return versions
}

// checkPorts reports every address that something else listens on.
func checkPorts(list []service) error {
	var taken []error
	for _, s := range list {
		for _, address := range s.listens {
			l, err := net.Listen("tcp", address)
			switch {
			case err == nil:
				_ = l.Close()
			case errors.Is(err, syscall.EADDRINUSE):
				taken = append(taken, fmt.Errorf("%s, which %s needs, is taken: stop what listens there, or move the whole stack by --port-offset", address, s.name))
			default:
				taken = append(taken, fmt.Errorf("listen for %s: %w", s.name, err))
			}
		}
	}
	return errors.Join(taken...)
}

// runner has the processes of one stack.
type runner struct {
	options Options
	in      places
	teller  *teller

	mu        sync.Mutex
	processes map[string]*supervise.Process
}

// start starts each service as soon as its program and the service that it is to come after are there, and returns when
// all of them are ready.
func (r *runner) start(ctx context.Context, list []service) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var ready sync.WaitGroup
	up := make(map[string]chan struct{}) // closed when that service is ready
	for _, s := range list {
		up[s.name] = make(chan struct{})
	}
	launch := func(s service, path string) {
		ready.Go(func() {
			if s.after != "" {
				r.set(s.name, progress.Waiting, "for "+s.after)
				select {
				case <-up[s.after]:
				case <-ctx.Done():
					return
				}
			}
			if err := r.launch(ctx, s, path); err != nil {
				cancel(err)
				return
			}
			close(up[s.name])
		})
	}
	missing, err := r.launchPresent(ctx, list, launch)
	if err == nil && len(missing) > 0 {
		err = r.build(ctx, list, missing, launch)
	}
	if err != nil {
		cancel(err)
	}
	ready.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// launchPresent starts the services whose program is there, and returns the components that have to be built for the
// others.
func (r *runner) launchPresent(ctx context.Context, list []service, launch func(service, string)) ([]component.Component, error) {
	components := make(map[string]component.Component)
	for _, c := range component.Services() {
		components[c.Name] = c
	}
	var missing []component.Component
	for _, s := range list {
		switch c, known := components[s.component]; {
		case s.component == self:
			launch(s, r.options.Self)
		case !known:
			launch(s, s.component) // a program of the user's
		default:
			path, ok, err := r.options.Store.Find(ctx, c)
			if err != nil {
				return nil, err
			}
			if !ok {
				missing = append(missing, c)
				r.set(s.name, progress.Waiting, "for its turn to be built")
				continue
			}
			launch(s, path)
		}
	}
	return missing, nil
}

// build builds the missing components and launches each as soon as it's there.
func (r *runner) build(ctx context.Context, list []service, missing []component.Component, launch func(service, string)) error {
	byComponent := make(map[string]service)
	for _, s := range list {
		byComponent[s.component] = s
	}
	r.options.Display.building(list, missing, r.options.Store.Dir)
	err := r.options.Store.Build(ctx, missing,
		func(c component.Component, p component.Progress) {
			stage, detail := progress.Building, p.String()
			if p.Stage == component.StageWaiting {
				stage, detail = progress.Waiting, "for its turn to be compiled"
			}
			r.set(byComponent[c.Name].name, stage, detail)
		},
		func(c component.Component, path string) { launch(byComponent[c.Name], path) })
	if err != nil {
		return err
	}
	if err := r.options.Store.DropBuildCache(); err != nil {
		r.options.Display.Printf("could not remove the compiler's cache: %v", err)
	}
	return nil
}

// set says, here and to those who read the file, what a service is doing.
func (r *runner) set(name string, stage progress.Stage, detail string) {
	r.teller.set(name, stage, detail)
	r.options.Display.set(name, stage, detail)
}

// event says what has happened to a service.
func (r *runner) event(e supervise.Event) {
	switch e.Kind {
	case supervise.Started:
		r.teller.runs(e.Program, e.PID)
		r.set(e.Program, progress.Starting, "")
	case supervise.Ready:
		r.set(e.Program, progress.Ready, fmt.Sprintf("in %.1f s", e.Took.Seconds()))
		if r.options.Display.running() {
			r.options.Display.Printf("%s is ready again.", e.Program)
		}
	case supervise.Exited:
		r.teller.runs(e.Program, 0)
		r.set(e.Program, progress.Restarting, fmt.Sprintf("after %v", e.Err))
		r.options.Display.Printf("%s died (%v) and is started again in %s. Its last lines:\n    %s",
			e.Program, e.Err, e.Wait, strings.Join(e.Tail, "\n    "))
	}
}

// launch starts one service and waits until it is ready.
func (r *runner) launch(ctx context.Context, s service, path string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	process := supervise.Run(supervise.Program{
		Name:        s.name,
		Path:        path,
		Args:        s.args,
		Env:         s.env,
		Log:         r.in.log(s.name),
		Ready:       s.ready,
		StopTimeout: stopTimeout,
	}, r.event)
	r.mu.Lock()
	r.processes[s.name] = process
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return process.WaitReady(ctx)
}

// stop stops every service before those that it sends to.
func (r *runner) stop(list []service) {
	for _, s := range stopOrder(list) {
		if process := r.processes[s.name]; process != nil {
			r.set(s.name, progress.Stopping, "")
			process.Stop()
			r.set(s.name, progress.Stopped, "")
		}
	}
}

// stopOrder puts every service before those that it sends to, and otherwise reverses the order of starting.
func stopOrder(list []service) []service {
	byName := make(map[string]service)
	for _, s := range list {
		byName[s.name] = s
	}
	var order []service
	placed := make(map[string]bool)
	var place func(s service)
	place = func(s service) {
		if placed[s.name] {
			return
		}
		placed[s.name] = true
		for _, receiver := range s.sendsTo {
			if receiver, ok := byName[receiver]; ok {
				place(receiver)
			}
		}
		order = append([]service{s}, order...)
	}
	for _, s := range list {
		place(s)
	}
	return order
}
