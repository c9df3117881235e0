// Package mixin defines the alerts and objectives of realtime services, each once: its expressions, thresholds and
// severities, what it means and what to do first, and the situations that it is tested with. The rules for Prometheus
// in deploy/prometheus, their tests for promtool, and the frames of the pages in docs/runbooks are made of it by
// "sockscope mixin", which makes those of a service of your own as well.
//
// [Groups] has the rules as data and [Files] as text. The package dashboards, below this one, draws [Thresholds] and
// [Objectives] as lines.
//
// # Labels and annotations
//
// Each alert has alertname, severity (critical, warning, info, or none for the heartbeat), symptom="true" if users feel
// it, transport if it is of one, and the labels in [Alert.By]: job and namespace as a rule, and instance only for what
// is about a process. Its annotations are summary, which has no values, description, which has them, runbook_url and
// dashboard_url.
//
// # Transports
//
// The metrics of another transport have another prefix, and so has each its file of rules. Alerts keep their names, so
// that there is one runbook for each, and tell by the label transport what they are about.
//
// # Counters that begin late
//
// The increase of a counter that appears with the value 60 is 0 to Prometheus. Many libraries make a series when it is
// first counted, so the first outage after a start would be seen by nobody. Rules here count such a series from 0,
// provided that its target was scraped without it before, or that its process has started since. A service that has run
// for years when it is scraped for the first time has counted nothing new.
//
// # Objectives
//
// Error budgets are watched as in Google's workbook: 14.4 times too fast over an hour and 6 times over six hours page,
// 3 times over a day and once over three days can wait, each confirmed by a shorter window. A pair of two minutes and
// thirty seconds pages for what breaks at once. A minimum of bad events keeps quiet nights quiet.
//
// The names of the series are those of sloth, github.com/slok/sloth, where it has them. Its generator, as of v0.16.0,
// is not used. It makes an alert of exactly two pairs of windows, which leaves no place for the fast pair. It records
// ratios and no counts, so no rule can ask for a minimum of bad events, and long windows that are made of short ones
// weigh a quiet night like a busy day. A plugin could write these rules, but it would be what sloGroups is. Importing
// it brings the Prometheus server, the client of Kubernetes and an interpreter of Go.
//
// # Tests
//
// A [Situation] is what happens to a service, in a few lines, with the alerts that are to fire. Each alert meets the
// situations in which it fires, to the moment, and those in which it comes close and stays quiet. Those that are Exact
// are shipped as tests of all rules together. "make mutation" changes each number, comparison, matcher, duration and
// guard in turn: a change that no situation notices fails it.
package mixin
