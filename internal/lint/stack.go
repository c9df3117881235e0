package lint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
	"github.com/sockscope/sockscope/internal/needs"
)

// How much of a service is read from the stack.
const (
	lately     = time.Hour
	maxTraces  = 100  // of each kind
	maxRecords = 1000 // log records
	maxNames   = 50   // of spans, and messages of records, of which more are no names
)

// Stack lints the last traces and log records of a service that the stack has. If they can't be read, the report's
// Problem says why.
func (l *Linter) Stack(ctx context.Context, service string) Report {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	c := &stackCheck{Linter: l, report: Report{Service: service, Findings: []Finding{}, Works: []Consumer{}, Silent: []Consumer{}}}
	if err := errors.Join(c.read(ctx, service), ctx.Err()); err != nil {
		c.report.Problem = err.Error()
		return c.report
	}
	c.checkSpans()
	c.checkRecords()
	c.checkPages(ctx)
	c.report.sort()
	return c.report
}

// stackCheck is the check of what the stack has of one service.
type stackCheck struct {
	*Linter
	report Report

	finder  *tracing.Finder
	logs    logstore.Store
	spans   []tracing.Span // of the service
	records []logstore.Record
}

func (c *stackCheck) read(ctx context.Context, service string) error {
	now := time.Now()
	if err := c.readRecords(ctx, logstore.Query{
		Service: service, Start: now.Add(-lately), End: now.Add(time.Minute), Limit: maxRecords, Newest: true,
	}); err != nil {
		return err
	}
	c.finder = tracing.NewFinder(c.cfg.Jaeger, c.logs, c.cfg.HTTP)
	// The newest traces of a busy service are all of messages.
	operations := []string{""}
	for _, transport := range c.transports {
		operations = append(operations, transport+".handshake", transport+".close")
	}
	seen := make(map[string]bool)
	for _, operation := range operations {
		traces, err := c.finder.OfService(ctx, service, operation, now.Add(-lately), now.Add(time.Minute), maxTraces)
		if err != nil {
			return err
		}
		for _, t := range traces {
			for _, s := range t.Spans {
				if s.Service == service && !seen[s.TraceID+s.ID] {
					seen[s.TraceID+s.ID] = true
					c.spans = append(c.spans, s)
				}
			}
		}
	}
	return nil
}

// readRecords asks the store that is running.
func (c *stackCheck) readRecords(ctx context.Context, q logstore.Query) error {
	var away []string
	for _, store := range c.cfg.Logs {
		records, err := store.Records(ctx, q)
		if errors.Is(err, backend.ErrNotRunning) {
			away = append(away, err.Error())
			continue
		}
		c.logs, c.records = store, records
		return err
	}
	return errors.New(strings.Join(away, "; "))
}

func (c *stackCheck) find(severity Severity, subject, problem, fix string, affects ...string) {
	f := Finding{Severity: severity, Subject: subject, Problem: problem, Fix: fix}
	for _, page := range affects {
		f.Affects = append(f.Affects, Consumer{Kind: needs.Page, Name: page})
	}
	c.report.Findings = append(c.report.Findings, f)
}

// The pages of the desk that are made of spans and log records.
const (
	pageConnection = "Connection"
	pageTraces     = "Traces"
	pageLogs       = "Logs"
)

// operation splits the name of a span: websocket.message chat is of the transport websocket and a message of chat.
func operation(name string) (transport, what, of string) {
	first, of, _ := strings.Cut(name, " ")
	i := strings.LastIndexByte(first, '.')
	if i < 0 {
		return "", first, of
	}
	return first[:i], first[i+1:], of
}

func (c *stackCheck) checkSpans() {
	if len(c.spans) == 0 {
		c.find(Error, "spans", "of the last hour are not there", "send them to the Collector by OTLP, under this service.name, and sample some", pageTraces, pageConnection)
		return
	}
	promised := make(map[string]contract.Span) // by what they are of
	for _, s := range c.observer().Spans {
		if _, what, of := operation(s.Name); of != "other" { // which is like those of the registered types
			promised[what] = s
		}
	}
	names, told := make(map[string]bool), make(map[string]bool)
	once := func(severity Severity, subject, problem, fix string, affects ...string) {
		if !told[subject+problem] {
			told[subject+problem] = true
			c.find(severity, subject, problem, fix, affects...)
		}
	}
	seen := make(map[string]bool) // by what they are of
	for _, s := range c.spans {
		names[s.Name] = true
		transport, what, _ := operation(s.Name)
		want, ok := promised[what]
		switch {
		case ok && slices.Contains(c.transports, transport):
			seen[what] = true
			c.checkSpan(s, transport, want, once)
		case slices.Contains(append(c.transports, "ws", "socket"), strings.ToLower(transport)):
			if meant := nearest(strings.ToLower(what), sortedKeys(promised)); meant != "" {
				once(Error, s.Name, "is not a name of the contract; it looks like "+contract.DefaultPrefix+"."+meant, "call it "+promised[meant].Name, pageConnection)
			}
		}
		const session = 30 * time.Minute
		if s.Duration() > session {
			once(Warning, s.Name, "lasts as long as a connection: it is shown when it has ended, and lost if the process is", "make a span for each handshake and each message", pageTraces)
		}
	}
	c.checkNames("spans", sortedKeys(names), "call spans by what is done, and put what varies into attributes")
	for what, severity := range map[string]Severity{"handshake": Error, "message": Warning, "close": Warning} {
		if !seen[what] {
			c.find(severity, contract.DefaultPrefix+"."+what, "is no span of the last hour, or none was sampled", "make it: "+describeSpan(promised[what]), pageConnection)
		}
	}
}

// observer is the part of the contract that is about endpoints.
func (l *Linter) observer() contract.Part {
	part, err := l.contract.Part(contract.Observer)
	if err != nil {
		return contract.Part{} // New has read it
	}
	return part
}

func describeSpan(s contract.Span) string {
	return s.Name + ", of the kind " + s.Kind + ", with " + strings.Join(s.Always, ", ")
}

// checkSpan holds a span to the contract.
func (c *stackCheck) checkSpan(s tracing.Span, transport string, want contract.Span, once func(Severity, string, string, string, ...string)) {
	_, what, _ := operation(s.Name)
	name := transport + "." + what
	if s.Kind != want.Kind && (s.Kind != "" || want.Kind != "internal") {
		once(Error, name, "is of the kind "+s.Kind, "make it "+want.Kind, pageConnection)
	}
	for _, key := range want.Always {
		key = strings.Replace(key, contract.DefaultPrefix+".", transport+".", 1)
		if s.Attribute(key) != "" {
			continue
		}
		severity, affects := Note, []string{}
		if key == "connection.id" {
			severity, affects = Error, []string{pageConnection}
		}
		once(severity, name, "has no attribute "+key, "set it", affects...)
	}
	if what == "message" && s.Parent == "" && len(s.Links) == 0 {
		once(Warning, name, "has no link to its handshake", "link it to the span of the handshake", pageConnection)
	}
}

// checkNames finds names that vary.
func (c *stackCheck) checkNames(of string, names []string, fix string) {
	var varying []string
	for _, name := range names {
		if slices.ContainsFunc(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" /:=,()", r) }), ids.MatchString) {
			varying = append(varying, name)
		}
	}
	switch {
	case len(varying) > 0:
		c.find(Error, of, "have ids in their names, as "+strings.Join(varying[:min(len(varying), 2)], ", "), fix, pageTraces)
	case len(names) > maxNames:
		c.find(Warning, of, fmt.Sprintf("have %d different names", len(names)), fix, pageTraces)
	}
}

func (c *stackCheck) checkRecords() {
	if len(c.records) == 0 {
		c.find(Error, "log records", "of the last hour are not there", "send them to the Collector by OTLP or Loki's push API, under this service_name", pageLogs, pageConnection)
		return
	}
	promised := make(map[string]contract.Record)
	for _, r := range c.observer().Records {
		promised[r.Message] = r
	}
	messages, missing := make(map[string]bool), make(map[string]map[string]bool) // fields by message
	traced, levels := 0, make(map[string]bool)
	for _, r := range c.records {
		messages[r.Message] = true
		if r.TraceID != "" {
			traced++
		}
		if !slices.Contains([]string{"trace", "debug", "info", "warn", "error", "fatal"}, r.Level) {
			levels[r.Level] = true
		}
		for _, field := range promised[r.Message].Always {
			if !slices.ContainsFunc(r.Fields, func(f logstore.Field) bool { return f.Key == field && f.Value != "" }) {
				if missing[r.Message] == nil {
					missing[r.Message] = make(map[string]bool)
				}
				missing[r.Message][field] = true
			}
		}
	}
	if traced == 0 {
		c.find(Error, "log records", "have no trace_id", "put the ids of the active span into each record, as trace_id and span_id", pageTraces, pageConnection)
	}
	if len(levels) > 0 {
		c.find(Error, "log records", "have no level that is known: "+strings.Join(sortedKeys(levels), ", "), "send a severity, or a level in words", pageLogs)
	}
	for _, message := range sortedKeys(missing) {
		severity, affects := Note, []string{}
		if missing[message]["connection_id"] {
			severity, affects = Error, []string{pageConnection}
		}
		c.find(severity, message, "has no field "+strings.Join(sortedKeys(missing[message]), ", "), "add it", affects...)
	}
	c.checkMessages(sortedKeys(messages), sortedKeys(promised))
}

// checkMessages looks for the messages that the desk reads, and for those that are no constant texts.
func (c *stackCheck) checkMessages(messages, promised []string) {
	for _, want := range []string{"connection opened", "connection closed"} {
		if slices.Contains(messages, want) {
			continue
		}
		fix := "write it at that moment, with connection_id"
		for _, message := range messages {
			if nearest(strings.ToLower(message), []string{want}) != "" && !slices.Contains(promised, message) {
				fix = fmt.Sprintf("write it so, and not %q", message)
			}
		}
		c.find(Warning, want, "is no message of the last hour", fix, pageConnection)
	}
	const share = 2 // of so many records one has a message of its own
	if len(messages) > maxNames && len(messages) > len(c.records)/share {
		c.find(Warning, "log records", fmt.Sprintf("have %d different messages", len(messages)), "write constant messages, and put what varies into fields", pageLogs)
	}
}

// checkPages has the desk do what it does for people, and looks at what it can tell.
func (c *stackCheck) checkPages(ctx context.Context) {
	verdict := func(name string, lacks ...string) {
		lacks = slices.DeleteFunc(lacks, func(s string) bool { return s == "" })
		if len(lacks) == 0 {
			c.report.Works = append(c.report.Works, Consumer{Kind: needs.Page, Name: name})
			return
		}
		c.report.Silent = append(c.report.Silent, Consumer{Kind: needs.Page, Name: name, Lacks: lacks})
	}
	unless := func(there bool, what string) string {
		if there {
			return ""
		}
		return what
	}
	verdict(pageTraces+": traces", unless(len(c.spans) > 0, "spans"))
	verdict(pageTraces+": log records of a trace", unless(c.recordsOfSpans(), "log record with the trace_id of a span that was stored"))
	verdict(pageLogs+": log records", unless(len(c.records) > 0, "log records"))
	id := c.newestConnection()
	if id == "" {
		verdict(pageConnection+": its story", "attribute connection.id of a span, or field connection_id of a log record")
		return
	}
	s := story.NewTeller(c.finder, c.logs, noConsoles, c.client).Tell(ctx, id, story.Part{})
	of := func(kind story.Kind) bool {
		return slices.ContainsFunc(s.Events, func(e story.Event) bool { return e.Kind == kind })
	}
	verdict(pageConnection+": when it began", unless(!s.Opened.IsZero(), "record connection opened, and no span of the handshake"))
	verdict(pageConnection+": how it ended", unless(!s.Closed.IsZero() && s.Ending.Reason != "", "record connection closed or span of the close, with its reason"))
	verdict(pageConnection+": what it carried", unless(s.Totals != nil && s.Totals.Received+s.Totals.Sent > 0, "numbers of messages at its end"))
	verdict(pageConnection+": its messages", unless(of(story.KindMessage), "span of a message"))
	verdict(pageConnection+": its log records", unless(of(story.KindRecord), "log record with its connection_id"))
	verdict(pageConnection+": its handshake", unless(s.Handshake.TraceID != "", "span of its handshake, and no link to one"))
}

// recordsOfSpans reports whether a record leads to a span.
func (c *stackCheck) recordsOfSpans() bool {
	stored := make(map[string]bool)
	for _, s := range c.spans {
		stored[s.TraceID] = true
	}
	return slices.ContainsFunc(c.records, func(r logstore.Record) bool { return stored[r.TraceID] })
}

// newestConnection returns the id of the connection that ended last and carried something, or else of any.
func (c *stackCheck) newestConnection() string {
	messages := make(map[string]bool)
	id := ""
	for _, s := range c.spans {
		if _, what, _ := operation(s.Name); what == "message" {
			messages[s.Attribute("connection.id")] = true
		}
		if of := s.Attribute("connection.id"); of != "" {
			id = of
		}
	}
	closed := ""
	for _, r := range c.records { // oldest first
		i := slices.IndexFunc(r.Fields, func(f logstore.Field) bool { return f.Key == "connection_id" })
		if i < 0 || r.Fields[i].Value == "" {
			continue
		}
		id = r.Fields[i].Value
		if r.Message == "connection closed" && (closed == "" || messages[id] || !messages[closed]) {
			closed = id
		}
	}
	if closed != "" {
		return closed
	}
	return id
}

// noConsoles is what a story is told from without live consoles.
func noConsoles() ([]string, error) { return nil, nil }
