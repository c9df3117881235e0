// Package lint reads what a service exports and says, against the contract, what is missing, misnamed, of another type
// or unit, or without bounds, and which alerts, panels and pages show nothing for it.
package lint

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/logstore"
	"github.com/sockscope/sockscope/internal/needs"
	"github.com/sockscope/sockscope/mixin"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // something shows nothing, or wrong things
	Warning Severity = "warning" // something is worse than it could be
	Note    Severity = "note"    // what the service may do without
)

// Finding is one thing that is not as in the contract.
type Finding struct {
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // a metric, a span or a log record
	Problem  string   `json:"problem"`
	Fix      string   `json:"fix,omitempty"`
	// Affects are the alerts, panels and pages that need the subject.
	Affects []Consumer `json:"affects,omitempty"`
}

// Consumer is an alert, a panel of the dashboard, or a page of the desk.
type Consumer struct {
	Kind  needs.Kind `json:"kind"`
	Name  string     `json:"name"`
	Lacks []string   `json:"lacks,omitempty"` // what it does not find, if it shows nothing
}

// Report is what is said of one service.
type Report struct {
	Service  string     `json:"service"` // the address of its metrics, or its name
	Problem  string     `json:"problem,omitempty"`
	Findings []Finding  `json:"findings"`
	Works    []Consumer `json:"works"`
	Silent   []Consumer `json:"silent"` // show nothing, or not all that they are to show
}

// Worst returns the severity of the worst finding, empty if there is none.
func (r Report) Worst() Severity {
	for _, severity := range severities() {
		if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == severity }) {
			return severity
		}
	}
	return ""
}

func severities() []Severity { return []Severity{Error, Warning, Note} }

// sort puts the worst findings first.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(slices.Index(severities(), a.Severity)-slices.Index(severities(), b.Severity), cmp.Compare(a.Subject, b.Subject))
	})
}

// Config says what is read.
type Config struct {
	// Transports are prefixes of metrics besides those that rules are shipped for.
	Transports []string
	Timeout    time.Duration // for all that is read of one service
	HTTP       http.RoundTripper
	Jaeger     string           // address, for Stack
	Logs       []logstore.Store // of which one has answers, for Stack
}

// Linter lints services.
type Linter struct {
	cfg        Config
	contract   *contract.Contract
	transports []string
	consumers  map[string][]needs.Consumer // by transport
	client     *http.Client
}

// New returns a linter that goes by the contract of this version.
func New(cfg Config) (*Linter, error) {
	c, err := contract.Load()
	if err != nil {
		return nil, err
	}
	for _, t := range cfg.Transports {
		if strings.Trim(t, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || t == "" {
			return nil, fmt.Errorf("transport %q can't begin the name of a metric", t)
		}
	}
	l := &Linter{
		cfg: cfg, contract: c, client: &http.Client{Transport: cfg.HTTP},
		transports: append(mixin.Default().Transports, cfg.Transports...), consumers: make(map[string][]needs.Consumer),
	}
	for _, transport := range l.transports {
		if l.consumers[transport], err = needs.Consumers(transport); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Metrics lints the page of metrics at an address. If it can't be read, the report says so as its Problem.
func (l *Linter) Metrics(ctx context.Context, address string) Report {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	p, err := fetch(ctx, l.client, address)
	if err != nil {
		return Report{Service: address, Problem: err.Error(), Findings: []Finding{}, Works: []Consumer{}, Silent: []Consumer{}}
	}
	r := l.page(p)
	r.Service = address
	return r
}
