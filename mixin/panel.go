package mixin

import (
	"slices"
	"strconv"
	"strings"
)

// A panelAt is where a panel is: the uid of its dashboard, and its id there.
type panelAt struct {
	dashboard string
	id        int
}

// overview is the dashboard of an alert without a panel.
const overview = "sockscope-websockets"

// panels are those that alerts name, by their titles. Package dashboards has the panels, and a test there compares the
// two.
func panels() map[string]panelAt {
	const (
		connections = "sockscope-connections"
		messages    = "sockscope-messages"
		fanout      = "sockscope-fanout"
		clients     = "sockscope-clients"
		probes      = "sockscope-probes"
		runtime     = "sockscope-runtime"
		telemetry   = "sockscope-telemetry"
		onCall      = "sockscope-oncall"
	)
	return map[string]panelAt{
		"Active Connections":                {overview, 10},
		"Age of Processes":                  {overview, 27},
		"Age of the Newest Message":         {messages, 14},
		"Availability Burn Rate":            {probes, 12},
		"Backplane Lag":                     {fanout, 14},
		"Backplane Up":                      {fanout, 13},
		"CPU of the Machine":                {runtime, 2},
		"Certificate Expires In":            {probes, 13},
		"Client Connected":                  {clients, 2},
		"Closes by Reason":                  {connections, 7},
		"Connection Rate":                   {overview, 11},
		"Connections of the Busiest Client": {messages, 25},
		"Delivery Time":                     {messages, 11},
		"Drift":                             {clients, 11},
		"Dropped Messages":                  {messages, 13},
		"Error Rate":                        {overview, 18},
		"Event Lag":                         {clients, 5},
		"Failed Notifications by Channel":   {onCall, 12},
		"Fan-out Duration":                  {fanout, 2},
		"File Descriptors":                  {runtime, 12},
		"Fullest Send Queue":                {fanout, 7},
		"Goroutines Beyond Connections":     {runtime, 7},
		"Heap per Connection":               {runtime, 6},
		"Heartbeat":                         {onCall, 7},
		"Lost Between Instances":            {fanout, 16},
		"Memory of the Machine":             {runtime, 3},
		"Message Latency (p50/p95/p99)":     {overview, 15},
		"Messages per Second":               {messages, 17},
		"Missing Messages":                  {clients, 8},
		"Panics in Log Records":             {messages, 23},
		"Pings by Result":                   {connections, 18},
		"Probe Duration by Phase (p90)":     {probes, 10},
		"Probes That Succeed Now":           {probes, 2},
		"Reconciliations":                   {clients, 12},
		"Repetitions of an Error":           {messages, 24},
		"Rules That Fail":                   {telemetry, 7},
		"Settings in Use":                   {telemetry, 21},
		"Slow Connections":                  {fanout, 17},
		"Stale Streams":                     {clients, 3},
		"Targets down":                      {overview, 7},
		"Telemetry Refused or Lost":         {telemetry, 25},
		"Telemetry Waiting":                 {telemetry, 26},
		"Time to the Last Recipient":        {fanout, 19},
		"Way to Alertmanager":               {onCall, 16},
	}
}

// PanelURL is the address of the panel that shows an alert, or of the overview if none does, with what the alert is
// about filled in. The transport is empty for an alert that all transports share.
func (c Config) PanelURL(a Alert, transport string) string {
	at, known := panels()[a.Panel]
	if !known {
		at.dashboard = overview
	}
	var parameters []string
	if transport != "" {
		parameters = append(parameters, "var-transport="+transport)
	}
	for _, name := range []string{"job", c.NamespaceLabel} {
		if slices.Contains(a.By, name) {
			variable := name
			if name == c.NamespaceLabel {
				variable = "namespace"
			}
			parameters = append(parameters, "var-"+variable+"={{ $labels."+name+" | urlQueryEscape }}")
		}
	}
	if known {
		parameters = append(parameters, "viewPanel="+strconv.Itoa(at.id))
	}
	url := c.DashboardURL + at.dashboard
	if len(parameters) > 0 {
		url += "?" + strings.Join(parameters, "&")
	}
	return url
}
