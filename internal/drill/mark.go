package drill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// activeMetric is 1 from when a drill injects its fault until it has healed it, and 0 then. Dashboards mark that
	// time.
	activeMetric = "sockscope_drill_active"
	// markEvery is how far apart its samples are: as those of services.
	markEvery = 5 * time.Second
	// maxUnsent bounds the samples that wait for a Collector that is away, which may be what the drill breaks. It is an
	// hour of them: the Collector takes none that is older.
	maxUnsent = 720
)

// mark tells the stack of one run of a drill.
type mark struct {
	stack  *Stack
	drill  string
	unsent []activity

	once   sync.Once // for healed
	healed chan time.Time
	stop   context.CancelFunc
	ended  chan error
}

// activity says whether the fault of a drill is in force.
type activity struct {
	at     time.Time
	active int // 1 or 0
}

// mark has the stack know that a drill's fault is in force, until it hears that it is healed. End it when the run is
// over.
func (s *Stack) mark(ctx context.Context, drill string, injected time.Time) *mark {
	m := &mark{stack: s, drill: drill, unsent: []activity{{injected, 1}}, healed: make(chan time.Time, 1), ended: make(chan error, 1)}
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { m.ended <- m.run(ctx) }()
	return m
}

// heal says when the fault was healed. Only the first call counts.
func (m *mark) heal(at time.Time) { m.once.Do(func() { m.healed <- at }) }

// end returns once nothing more is sent. The error says why the stack does not know everything.
func (m *mark) end() error {
	m.stop()
	return <-m.ended
}

// run sends samples until the context ends. Those that are not taken are sent again with the next ones.
func (m *mark) run(ctx context.Context) error {
	_ = m.send(ctx)
	tick := time.NewTicker(max(time.Second, atSpeed(markEvery, m.stack.Speed)))
	defer tick.Stop()
	for active := true; ; {
		select {
		case now := <-tick.C:
			if active {
				m.add(activity{now, 1})
			}
		case at := <-m.healed:
			active = false
			m.add(activity{at, 0})
		case <-ctx.Done():
			return m.last(ctx)
		}
		_ = m.send(ctx)
	}
}

func (m *mark) add(a activity) {
	m.unsent = append(m.unsent[max(0, len(m.unsent)-maxUnsent+1):], a)
}

// last is the last attempt.
func (m *mark) last(ctx context.Context) error {
	select {
	case at := <-m.healed:
		m.add(activity{at, 0})
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := m.send(ctx); err != nil {
		return fmt.Errorf("mark the drill on the dashboards: %w", err)
	}
	return nil
}

// send sends what is unsent.
func (m *mark) send(ctx context.Context) error {
	if len(m.unsent) == 0 {
		return nil
	}
	err := m.stack.sendOTLP(ctx, "/v1/metrics", activities(m.drill, m.unsent))
	if err == nil {
		m.unsent = nil
	}
	return err
}

// activities is a request of OTLP with samples of the metric.
func activities(drill string, list []activity) string {
	points := make([]string, len(list))
	for i, a := range list {
		points[i] = fmt.Sprintf(`{"timeUnixNano": "%d", "asInt": "%d", "attributes": [{"key": "drill", "value": {"stringValue": %q}}]}`,
			a.at.UnixNano(), a.active, drill)
	}
	return fmt.Sprintf(`{"resourceMetrics": [{
	"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "sockscope-drill"}}]},
	"scopeMetrics": [{"metrics": [{"name": %q, "gauge": {"dataPoints": [%s]}}]}]
}]}`, activeMetric, strings.Join(points, ", "))
}
