package dashboards

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/common"
)

// A logStore is how dashboards ask for log records.
type logStore struct {
	kind, uid, title string // of its data source
	missing          string // what to do if Grafana has none of that kind
	all              string // the records of the chosen services
	matching         string // those whose message matches a pattern, by format
	byLevel          string // how many there are over time
	recordsType      string // the type of query for records
	numbersType      string // and for numbers
}

// Loki refuses a selector that could be empty.
const lokiServices = `{service_name=~".+", service_name=~"$job"}`

var loki = logStore{
	kind: "loki", uid: "loki", title: "Loki",
	all:         lokiServices,
	matching:    lokiServices + " |~ %q",
	byLevel:     "sum by (level) (count_over_time(" + lokiServices + "[$__auto]))",
	recordsType: "range", numbersType: "range",
}

const victoriaServices = `{"service.name"=~"$job"}`

var victoriaLogs = logStore{
	kind: "victoriametrics-logs-datasource", uid: "victoria-logs", title: "VictoriaLogs",
	missing: "Data source not found? Grafana needs the plugin victoriametrics-logs-datasource: " +
		"[how to install it](https://github.com/sockscope/sockscope/blob/main/docs/grafana.md#the-plugin-for-victorialogs)",
	all:         victoriaServices,
	matching:    victoriaServices + " _msg:~%q",
	byLevel:     victoriaServices + " | stats by (level) count() records",
	recordsType: "instant", numbersType: "statsRange",
}

func (l logStore) source() *common.DataSourceRef {
	return &common.DataSourceRef{Type: pointer(l.kind), Uid: pointer("${logs}")}
}

// records is a panel with the log records of the chosen services, newest first. The pattern is of messages; if it is
// empty, it has all of them.
func (s service) records(id uint32, title, about, pattern string) panel {
	expr := s.logs.all
	if pattern != "" {
		expr = fmt.Sprintf(s.logs.matching, pattern)
	}
	return panel{
		id: id, kind: "logs", title: title, width: 24, height: 10,
		about: sentences(about, "Open one and follow trace_id to its trace, or connection_id to the story of its connection.", s.logs.missing),
		queries: []query{{
			Datasource: s.logs.source(), Expr: expr, QueryType: s.logs.recordsType, EditorMode: "code", MaxLines: 200,
		}},
		options: map[string]any{
			"showTime": true, "showLabels": false, "showCommonLabels": false, "wrapLogMessage": true, "prettifyLogMessage": false,
			"enableLogDetails": true, "showLogContextToggle": true, "dedupStrategy": "none", "sortOrder": "Descending",
		},
	}
}

// levels is a panel with the number of records by level.
func (s service) levels(id uint32, title, about string) panel {
	p := series(id, title, "short", sentences(about, s.logs.missing), query{
		Datasource: s.logs.source(), Expr: s.logs.byLevel, QueryType: s.logs.numbersType, EditorMode: "code", LegendFormat: "{{level}}",
	})
	p.custom["drawStyle"], p.custom["fillOpacity"] = "bars", 60
	return p.stacked().sized(24, 5)
}
