// Package drill breaks a running stack on purpose and measures what comes of it: when the metric shows it, when the
// rule is pending and fires, whom it notifies, whether the panel, the trace and the log records lead to the cause, and
// when it is over. A drill without an alert is a control: it does what happens on an ordinary day, and nothing may
// fire.
//
// Everything is observed from outside, by the HTTP APIs that people use, and timed by the clock of the machine. When an
// alert was pending and fired is read from the samples of ALERTS, so that it does not depend on how often one looks.
//
// People are always there during drills: some talk in rooms, some watch the market. A drill adds to them what it needs.
package drill
