package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sockscope/sockscope/internal/load"
)

// Runner runs drills, one after the other.
type Runner struct {
	Stack *Stack
	Docs  fs.FS  // has runbooks/ALERT.md
	Self  string // the path of this program, which is the nodes of a cluster, too
	// Progress is told what happens as it happens, and when: since the fault, or 0 before.
	Progress func(since time.Duration, what string)
	// SkipRecovery ends each drill when its fault is healed, and does not measure when the alert ends.
	SkipRecovery bool

	began time.Time // since when people have been there
}

// people are always there.
func people() []load.Group {
	return []load.Group{
		{Name: "people", Does: load.Chat, Connections: 100, Rate: 40},
		{Name: "watchers", Does: load.Feed, Connections: 20},
	}
}

// Run runs each of the drills so many times, and calls report with each result. The error is about drills that could
// not be run; what went wrong in those that could is in the results.
func (r *Runner) Run(ctx context.Context, drills []Drill, times int, report func(Result)) (err error) {
	crowd := invite(ctx, []string{r.Stack.demoURL()}, people())
	defer func() { err = errors.Join(err, crowd.leave()) }()
	if err := crowd.arrived(ctx); err != nil {
		return nil // said by leave
	}
	r.began = time.Now()
	defer func() {
		if r.Stack.cluster != nil {
			err = errors.Join(err, r.Stack.cluster.stop())
		}
	}()
	for i, d := range drills {
		if d.Fastest > 0 && r.Stack.Speed > d.Fastest {
			r.Progress(0, fmt.Sprintf("%s: left out, since it means nothing if rules are more than %d times as fast\n", d.Name, d.Fastest))
			continue
		}
		for n := range times {
			last := n == times-1 && i == len(drills)-1
			result, err := r.run(ctx, d, last)
			if err != nil {
				return fmt.Errorf("drill %s: %w", d.Name, err)
			}
			report(result)
		}
	}
	return nil
}

const (
	// healTimeout bounds undoing a fault, also after somebody has lost patience.
	healTimeout = 20 * time.Second
	// recovery is how long alerts may go on after a fault: windows, of which those of error budgets are half an hour,
	// keep_firing_for and the groups of Alertmanager.
	recovery = 45 * time.Minute
	// overtime is how many times its limit a notification may take until it is given up, so that late ones are
	// measured.
	overtime = 1.5
)

// watch is a run as it goes on.
type watch struct {
	*Runner
	drill Drill
	rec   Recording
	seen  map[Sample]bool
	told  map[string]bool
	last  bool // no other run comes after this one

	polled time.Time // when samples were last asked for
	calmed time.Time // when nothing fired any more
}

// run runs a drill once. Before the next one all has to be over, after the last only what is measured.
func (r *Runner) run(ctx context.Context, d Drill, last bool) (result Result, err error) {
	began, urls := r.began, []string{r.Stack.demoURL()}
	if d.Cluster {
		if r.Stack.cluster == nil {
			r.Progress(0, "starting a service of three nodes")
			if r.Stack.cluster, err = r.Stack.startCluster(ctx, r.Self); err != nil {
				return Result{}, err
			}
		}
		began, urls = r.Stack.cluster.began, r.Stack.cluster.urls()
	}
	if len(d.Load) > 0 {
		crowd := invite(ctx, urls, d.Load)
		defer func() { err = errors.Join(err, crowd.leave()) }()
		if err := crowd.arrived(ctx); err != nil {
			return Result{}, fmt.Errorf("make its load: %w", err)
		}
	}
	w := &watch{Runner: r, drill: d, last: last, seen: map[Sample]bool{}, told: map[string]bool{}}
	if err := w.calm(ctx, began); err != nil {
		return Result{}, err
	}
	w.rec.Injected = time.Now()
	marked := r.Stack.mark(ctx, d.Name, w.rec.Injected)
	defer func() {
		if err := marked.end(); err != nil {
			w.say(err.Error())
		}
	}()
	heal, err := inject(ctx, r.Stack, d.Faults)
	w.say("fault injected")
	healed := false
	undo := func() error {
		healed = true
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healTimeout)
		defer cancel()
		defer func() { marked.heal(time.Now()) }()
		return heal(ctx)
	}
	defer func() {
		if !healed {
			err = errors.Join(err, undo())
		}
	}()
	if err != nil {
		return Result{}, err
	}
	var evidence []Finding
	if d.Control() {
		err = w.until(ctx, r.duration(d.Lasts), func() bool { return false })
	} else {
		limit := time.Duration(float64(d.limit(r.Stack.Speed)) * overtime)
		if err = w.until(ctx, limit, w.notified); err == nil {
			evidence = r.evidence(ctx, d, w.rec.Injected)
		}
	}
	if err != nil {
		return Result{}, err
	}
	w.rec.Healed = time.Now()
	if err := undo(); err != nil {
		return Result{}, err
	}
	w.say("fault healed")
	if w.rec.Left = r.SkipRecovery; !w.rec.Left {
		if err := w.until(ctx, r.duration(recovery)+d.Takes, w.over); err != nil {
			return Result{}, err
		}
	}
	w.sort()
	return judge(d, r.Stack.Speed, w.rec, evidence), nil
}

// inject does what the drill is about, and returns how to undo as much of it as was done.
func inject(ctx context.Context, s *Stack, faults []Fault) (heal func(context.Context) error, err error) {
	var done []func(context.Context) error
	heal = func(ctx context.Context) (err error) {
		for _, undo := range slices.Backward(done) {
			err = errors.Join(err, undo(ctx))
		}
		return err
	}
	for _, f := range faults {
		undo, err := f.Inject(ctx, s)
		if err != nil {
			return heal, fmt.Errorf("%s: %w", f, err)
		}
		done = append(done, undo)
	}
	return heal, nil
}

// duration is a true time as it is at the speed of the stack, with slack for what is not faster.
func (r *Runner) duration(d time.Duration) time.Duration {
	if r.Stack.Speed <= 1 {
		return d
	}
	return atSpeed(d, r.Stack.Speed) + r.Stack.slack
}

// calm waits until nothing fires, the metric shows nothing and there is as much of a past as the drill needs. People
// have been there since began.
func (w *watch) calm(ctx context.Context, began time.Time) error {
	speed := w.Stack.Speed
	limit := time.Now().Add(w.duration(recovery) + 2*w.Stack.slack)
	since := time.Now()
	w.rec.Since = since
	announced := false
	for {
		disturbed, err := w.disturbance(ctx)
		if err != nil {
			return err
		}
		now := time.Now()
		if disturbed != "" {
			if now.After(limit) {
				return fmt.Errorf("the stack does not come to rest before the fault: %s", disturbed)
			}
			since = now
		}
		ready := since.Add(atSpeed(defaultHistory, speed))
		if old := began.Add(atSpeed(w.drill.history(), speed)); old.After(ready) {
			ready = old
		}
		if !announced {
			w.Progress(0, fmt.Sprintf("%s: %s", w.drill.Name, w.drill.About))
			if left := time.Until(ready); left > time.Minute {
				w.Progress(0, fmt.Sprintf("watching for %v before the fault", left.Round(time.Second)))
			}
			announced = true
		}
		if now.After(ready) {
			w.rec.Since = since
			return nil
		}
		if err := wait(ctx, w.every()); err != nil {
			return err
		}
	}
}

// disturbance says why a fault could not be told from what is there already, empty if it could.
func (w *watch) disturbance(ctx context.Context) (string, error) {
	firing, err := w.Stack.firing(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for alerts: %w", err)
	}
	for _, alert := range firing {
		if alert != watchdog && aboutMachine()[alert] == "" {
			return alert + " fires", nil
		}
	}
	if w.drill.Metric == "" {
		return "", nil
	}
	list, err := w.Stack.query(ctx, w.Stack.faster(w.drill.Metric))
	if err != nil {
		return "", fmt.Errorf("ask for the metric: %w", err)
	}
	if len(list) > 0 {
		return "the metric shows the fault: " + w.drill.Metric, nil
	}
	return "", nil
}

// every is how often one looks.
func (w *watch) every() time.Duration {
	return max(250*time.Millisecond, atSpeed(time.Second, w.Stack.Speed))
}

// until looks again and again until it is done or the time is up.
func (w *watch) until(ctx context.Context, limit time.Duration, done func() bool) error {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		w.look(ctx)
		if done() {
			return nil
		}
		if err := wait(ctx, w.every()); err != nil {
			return err
		}
	}
	return nil
}

// look records what the stack shows. A component that does not answer may be the broken one, so look asks it again
// later.
func (w *watch) look(ctx context.Context) {
	if w.rec.Visible.IsZero() && w.drill.Metric != "" && w.rec.Healed.IsZero() {
		if list, err := w.Stack.query(ctx, w.Stack.faster(w.drill.Metric)); err == nil && len(list) > 0 {
			w.rec.Visible = time.Now()
			w.say("metric moved")
		}
	}
	now := time.Now()
	last := now.Sub(w.rec.Since)
	if !w.polled.IsZero() {
		last = now.Sub(w.polled) + overlap
	}
	if samples, err := w.Stack.alerts(ctx, last); err == nil {
		w.polled = now
		w.take(samples)
	}
	if notices, err := w.Stack.notices(ctx, w.rec.Injected); err == nil {
		w.rec.Notices = notices
		for _, n := range notices {
			state := "told of "
			if n.Resolved {
				state = "told of the end of "
			}
			w.sayOnce(n.Channel + " " + state + n.Alert)
		}
	}
	if first, _, _ := w.rec.spans(w.drill.Alert); !first.firing.IsZero() && len(w.rec.channels(w.drill.Alert)) == 0 {
		if mutes, err := w.Stack.mutes(ctx, w.drill.Alert); err == nil && len(mutes) > 0 {
			w.rec.Mutes = mutes
		}
	}
}

// overlap is how much of what was seen already is asked for again, since rules that take long are stored late.
const overlap = 30 * time.Second

func (w *watch) take(samples []Sample) {
	for _, s := range samples {
		if w.seen[s] || s.At.Before(w.rec.Since) {
			continue
		}
		w.seen[s] = true
		w.rec.Samples = append(w.rec.Samples, s)
		if s.Alert == watchdog {
			if s.At.After(w.rec.Until) {
				w.rec.Until = s.At
			}
			continue
		}
		if s.Firing {
			w.sayOnce(s.Alert + " firing")
		} else if s.Alert == w.drill.Alert {
			w.sayOnce(s.Alert + " pending")
		}
	}
	w.sort()
}

func (w *watch) sort() {
	slices.SortStableFunc(w.rec.Samples, func(a, b Sample) int { return a.At.Compare(b.At) })
}

// notified reports whether all were notified who had to be, or are rightly not.
func (w *watch) notified() bool {
	first, _, severity := w.rec.spans(w.drill.Alert)
	channels := w.rec.channels(w.drill.Alert)
	if w.drill.Unruled {
		return len(channels) > 0
	}
	if first.firing.IsZero() {
		return false
	}
	if len(channelsOf(severity)) == 0 {
		return true
	}
	if len(channels) == 0 {
		waited := time.Since(first.firing) > w.duration(time.Minute)
		return waited && Result{Muted: w.rec.Mutes}.mutedRightly(w.drill)
	}
	for _, c := range channelsOf(severity) {
		if _, ok := channels[c]; !ok {
			return false
		}
	}
	return true
}

// over reports whether the drill's alert fires no more and somebody was told so. If another run is to come, nothing
// else may fire either, and every channel has to know; Alertmanager gets as long for that as its groups take, since it
// need not tell of the end of what is held back meanwhile.
func (w *watch) over() bool {
	last := map[string]time.Time{}
	for _, s := range w.rec.Samples {
		if s.Firing && s.Alert != watchdog && aboutMachine()[s.Alert] == "" && (!w.last || s.Alert == w.drill.Alert) {
			last[s.Alert] = s.At
		}
	}
	for alert, at := range last {
		if w.rec.resolved(alert, at).IsZero() {
			return false
		}
	}
	channels := w.rec.channels(w.drill.Alert)
	if len(channels) > 0 && w.rec.told(w.drill.Alert, channels).IsZero() {
		return false
	}
	if w.calmed.IsZero() {
		w.calmed = time.Now()
	}
	return w.last || w.rec.settled() || time.Since(w.calmed) > w.duration(grouping)
}

// grouping is how long Alertmanager waits with what is new about a group, and a little.
const grouping = 6 * time.Minute

func (w *watch) say(what string) { w.Progress(time.Since(w.rec.Injected), what) }

func (w *watch) sayOnce(what string) {
	if !w.told[what] {
		w.told[what] = true
		w.say(what)
	}
}
