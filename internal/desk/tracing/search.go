package tracing

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

// Limits on a search.
const (
	maxSearched = 100 // traces of one service
	// maxOfEach is how many there are of each operation, where a search is for any of them: one that makes many traces
	// hides no other.
	maxOfEach     = 20
	maxOperations = 60 // of a service, that are asked for one by one
	maxOffered    = 500
)

// Search says which traces are wanted: those with a span that has all of it. The zero value of a field wants any.
type Search struct {
	Service, Operation string
	Shortest, Longest  time.Duration // how long the span took
	Failed             bool
	Attributes         []Attribute // of the span or its resource
	Start, End         time.Time
	// Ticks wants the traces, too, that only tell of a broadcast that no message has caused: an idle service makes
	// many. Those that failed are always wanted, and so is what the operation or a shortest duration asks for.
	Ticks bool
}

// WithoutTicks tells whether ticks are left out.
func (s Search) WithoutTicks() bool {
	return !s.Ticks && s.Operation == "" && s.Shortest == 0 && !s.Failed
}

// Result is what a search found.
type Result struct {
	Found []Found // newest first
	// Returned is how many traces Jaeger returned. It looks for traces with each of the wanted in some span, which are
	// more than those with all of it in one.
	Returned int
	// Cut are the questions that Jaeger may have had more for.
	Cut []Cut
	// Services are all that Jaeger knows.
	Services []Service
	// Problem says which services were not asked.
	Problem string
}

// Service is a service that Jaeger knows, and the names of its spans.
type Service struct {
	Name       string
	Operations []string
}

// Cut is a question for which Jaeger returned as many traces as it was asked for.
type Cut struct {
	Service, Operation string // no operation is any
	Limit              int
	Oldest             time.Time // when the oldest of them began
}

// Search returns the newest traces that are wanted. An error is that of the first question that failed.
func (f *Finder) Search(ctx context.Context, s Search) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	services, problem, err := f.known(ctx)
	if err != nil {
		return Result{}, err
	}
	r := Result{Services: services, Problem: problem}
	if s.Service != "" {
		r.Problem = ""
		i := slices.IndexFunc(services, func(known Service) bool { return known.Name == s.Service })
		if i < 0 { // it may be one of those that are left out
			services = []Service{{Name: s.Service}}
		} else {
			services = services[i : i+1]
		}
	}
	questions := s.questions(services)
	answers, errs := make([][]jaegerTrace, len(questions)), make([]error, len(questions))
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() { answers[i], errs[i] = f.ask(ctx, q) })
	}
	wg.Wait()
	seen := make(map[string]bool)
	for i, answer := range answers {
		if len(answer) >= questions[i].limit {
			r.Cut = append(r.Cut, questions[i].cut(answer))
		}
		for _, t := range answer {
			if !seen[t.TraceID] {
				seen[t.TraceID] = true
				r.add(s, t)
			}
		}
	}
	newestFirst(r.Found)
	return r, cmp.Or(errs...)
}

// add takes a trace that Jaeger returned, if it is wanted.
func (r *Result) add(s Search, t jaegerTrace) {
	found, ok := t.found()
	if !ok || s.WithoutTicks() && !found.Failed && isBroadcast(found.Name) {
		return
	}
	r.Returned++
	first := t.first()
	i := s.match(t, first)
	switch {
	case i < 0:
		return
	case i != first:
		span := t.Spans[i]
		found.Match = &Match{
			SpanID: hexID(span.SpanID, 8), Name: backend.Cut(span.Name, 256), Service: backend.Cut(t.Processes[span.ProcessID].ServiceName, 256),
			Duration: span.duration(), Failed: span.failed(),
		}
	}
	r.Found = append(r.Found, found)
}

// match returns the index of the span that the search is for, or -1: the first one if it is wanted. If the search is
// for a slow or failed span, it goes on to the innermost one below, where the cause is.
func (s Search) match(t jaegerTrace, first int) int {
	i := first
	if !s.wants(t, t.Spans[first]) {
		i = slices.IndexFunc(t.Spans, func(span jaegerSpan) bool { return s.wants(t, span) })
	}
	if i < 0 || s.Shortest == 0 && !s.Failed {
		return i
	}
	for range t.Spans { // their parents may go round in circles
		inner := -1
		for child, span := range t.Spans {
			if span.isChildOf(t.Spans[i]) && s.wants(t, span) && (inner < 0 || span.duration() > t.Spans[inner].duration()) {
				inner = child
			}
		}
		if inner < 0 {
			break
		}
		i = inner
	}
	return i
}

// wants tells whether a span has all that is wanted.
func (s Search) wants(t jaegerTrace, span jaegerSpan) bool {
	took := span.duration()
	return (s.Service == "" || s.Service == t.Processes[span.ProcessID].ServiceName) &&
		(s.Operation == "" || s.Operation == span.Name) &&
		took >= s.Shortest && (s.Longest == 0 || took <= s.Longest) && (!s.Failed || span.failed()) &&
		!slices.ContainsFunc(s.Attributes, func(a Attribute) bool { return !t.has(span, a) })
}

// has tells whether a span, its resource or one of its events has an attribute: Jaeger looks in all of them.
func (t jaegerTrace) has(span jaegerSpan, a Attribute) bool {
	same := func(tag jaegerTag) bool { return tag.Key == a.Key && tag.words() == a.Value }
	if slices.ContainsFunc(span.Tags, same) || slices.ContainsFunc(t.Processes[span.ProcessID].Tags, same) {
		return true
	}
	for _, event := range span.Logs {
		if slices.ContainsFunc(event.Fields, same) {
			return true
		}
	}
	return false
}

// questions are what Jaeger has to be asked, since a question is about one service, and can't leave anything out.
func (s Search) questions(services []Service) []question {
	q := question{
		operation: s.Operation, shortest: s.Shortest, longest: s.Longest, start: s.Start, end: s.End, limit: maxSearched, tags: make(map[string]string),
	}
	for _, a := range s.Attributes {
		q.tags[a.Key] = a.Value
	}
	if s.Failed {
		q.tags["error"] = "true"
	}
	var list []question
	for _, service := range services {
		q := q
		q.service = service.Name
		if n := len(service.Operations); !s.WithoutTicks() || n == 0 || n > maxOperations {
			list = append(list, q)
			continue
		}
		for _, operation := range service.Operations {
			list = append(list, q.of(operation))
		}
	}
	return list
}

// of is the question for one of several operations. Of broadcasts, only the failed ones are wanted then.
func (q question) of(operation string) question {
	q.operation, q.limit = operation, maxOfEach
	if isBroadcast(operation) {
		tags := map[string]string{"error": "true"}
		for key, value := range q.tags {
			tags[key] = value
		}
		q.tags = tags
	}
	return q
}

// cut is the question to which this is the answer.
func (q question) cut(answer []jaegerTrace) Cut {
	c := Cut{Service: q.service, Operation: q.operation, Limit: q.limit}
	for _, t := range answer {
		// Jaeger orders traces by the newest span that the question is about.
		var newest time.Time
		for _, s := range t.Spans {
			if t.Processes[s.ProcessID].ServiceName == q.service && (q.operation == "" || q.operation == s.Name) {
				newest = later(newest, s.start())
			}
		}
		if c.Oldest.IsZero() || newest.Before(c.Oldest) {
			c.Oldest = newest
		}
	}
	return c
}

// isBroadcast tells whether a span is of a broadcast, by the contract's name for it in any protocol.
func isBroadcast(name string) bool { return strings.HasSuffix(name, ".broadcast") }

// known lists the services that Jaeger knows with their operations, and says which are left out.
func (f *Finder) known(ctx context.Context) (services []Service, problem string, err error) {
	names, problem, err := f.services(ctx)
	if err != nil {
		return nil, "", err
	}
	services = make([]Service, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { services[i], errs[i] = f.service(ctx, name) })
	}
	wg.Wait()
	return services, problem, cmp.Or(errs...)
}

// service returns a service with its operations.
func (f *Finder) service(ctx context.Context, name string) (Service, error) {
	var answer struct {
		Data []struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	err := f.jaeger.Get(ctx, "/api/operations", url.Values{"service": {name}}, backend.Into(&answer))
	s := Service{Name: name}
	for _, operation := range answer.Data[:min(len(answer.Data), maxOffered)] {
		s.Operations = append(s.Operations, operation.Name)
	}
	slices.Sort(s.Operations)
	s.Operations = slices.Compact(s.Operations) // once for each kind of span
	return s, err
}

// services lists the services that Jaeger knows, and says if there are more than are asked.
func (f *Finder) services(ctx context.Context) (names []string, problem string, err error) {
	var services struct {
		Data []string `json:"data"`
	}
	if err := f.jaeger.Get(ctx, "/api/services", nil, backend.Into(&services)); err != nil {
		return nil, "", err
	}
	slices.Sort(services.Data)
	if n := len(services.Data) - maxServices; n > 0 {
		problem = fmt.Sprintf("Jaeger knows %d more services, which were not asked", n)
	}
	return services.Data[:min(len(services.Data), maxServices)], problem, nil
}
