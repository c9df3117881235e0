package console

import "fmt"

// The thresholds of a reconnect storm.
const (
	stormShare = 0.1  // of the open connections broke
	cameBack   = 0.5  // of those that broke, within the same minute
	recovered  = 0.95 // of the connections are open again
	inStep     = 0.4  // of those that came back did so within one second
)

// reconnects finds connections that broke and came back, and says how long it took and whether their clients came in
// step. Clients whose backoff has no jitter come in step, and each wave costs as much as all of them together.
func (e *evidence) reconnects() *Finding {
	at, before := e.worstSecond()
	if at < 0 {
		return nil
	}
	var broke, back, most float64
	took := -1.0 // seconds until the connections were there again
	elapsed := 0.0
	for i, s := range e.samples[at:] {
		if i > 0 {
			elapsed += s.Seconds
		}
		opened := s.total(func(p Endpoint) float64 { return p.Opened }) * s.Seconds
		broke += s.total(func(p Endpoint) float64 { return p.Broken }) * s.Seconds
		back += opened
		most = max(most, opened/max(s.Seconds, 1))
		if took < 0 && back > 0 && s.open() >= recovered*before {
			took = elapsed
		}
	}
	if broke < leastClosed || broke < stormShare*before || back < cameBack*broke {
		return nil
	}
	f := &Finding{Name: "reconnects", Severity: severityInfo}
	f.Text = fmt.Sprintf("%.0f connections broke, and %.0f came, up to %.0f in one second", broke, back, most)
	switch {
	case took < 0:
		f.Text += "; not all are back yet"
	case took < 1:
		f.Text += "; nearly all were back within a second"
	default:
		f.Text += fmt.Sprintf("; nearly all were back after %s", seconds(took))
	}
	if most >= inStep*back {
		f.Severity = severityWarning
		f.Text += ". The clients reconnect in step: give their backoff jitter."
	} else {
		f.Text += ". The clients reconnect spread over time, as they should."
	}
	return f
}

// worstSecond returns the index of the sample in which most connections broke, and how many were open at most until
// then. The index is -1 if none broke.
func (e *evidence) worstSecond() (at int, open float64) {
	at = -1
	most := 0.0
	for i, s := range e.samples {
		if broke := s.total(func(p Endpoint) float64 { return p.Broken }) * s.Seconds; broke > most {
			at, most = i, broke
		}
	}
	for i := range at + 1 {
		open = max(open, e.samples[i].open())
	}
	return at, open
}

// total adds up what the endpoints of a sample did.
func (s *Sample) total(of func(Endpoint) float64) float64 {
	total := 0.0
	for _, p := range s.Endpoints {
		total += of(p)
	}
	return total
}

func (s *Sample) open() float64 { return s.total(func(p Endpoint) float64 { return float64(p.Open) }) }
