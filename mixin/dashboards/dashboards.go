// Package dashboards has the dashboards for Grafana, each panel once: its queries, its unit, how to read it, and the
// alerts that it is about. Thresholds, objectives and links to runbooks are those of package mixin.
//
// [Files] returns them as Classic JSON, which Grafana 10 to 13 load from files and the desk draws itself. Panels are of the
// types timeseries, stat, bargauge, heatmap, table and logs, without transformations.
//
// The model is that of Grafana's foundation SDK. Only its package dashboard is compiled in: the packages for types of
// panels also need both newer models of dashboards, three times as much code as everything else. So this package writes
// the options of each type by name, and a test decodes the result strictly with the whole SDK.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/sockscope/sockscope/mixin"
)

// Files returns the dashboards by the names of their files. They ask Loki for log records.
func Files(c mixin.Config) (map[string]string, error) {
	return files(c, loki, func(board) bool { return true })
}

// VictoriaLogs returns the dashboards of [Files] that have log records, with queries for VictoriaLogs.
func VictoriaLogs(c mixin.Config) (map[string]string, error) {
	return files(c, victoriaLogs, board.asksForLogs)
}

func files(c mixin.Config, logs logStore, wanted func(board) bool) (map[string]string, error) {
	thresholds, err := mixin.Thresholds(c)
	if err != nil {
		return nil, err
	}
	alerts, err := mixin.Alerts(c)
	if err != nil {
		return nil, err
	}
	s := service{Config: c, logs: logs, limits: thresholds, objectives: mixin.Objectives(c), alerts: make(map[string][]string)}
	for _, a := range alerts {
		s.alerts[a.Panel] = append(s.alerts[a.Panel], a.Name)
	}
	texts := make(map[string]string)
	for _, b := range s.boards() {
		if !wanted(b) {
			continue
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(s.model(b)); err != nil {
			return nil, fmt.Errorf("encode the dashboard %s: %w", b.title, err)
		}
		texts[b.file] = text.String()
	}
	return texts, nil
}

// A service is what dashboards are made for.
type service struct {
	mixin.Config
	logs       logStore
	limits     map[string]float64  // thresholds of alerts, by name
	objectives map[string]float64  // by SLO
	alerts     map[string][]string // those that name a panel as theirs, by its title
}

// boards returns the dashboards, from what users feel to what may be the cause.
func (s service) boards() []board {
	return []board{
		s.overview(), s.connections(), s.messages(), s.fanout(), s.clients(), s.probes(), s.runtime(), s.telemetry(), s.onCall(),
	}
}
