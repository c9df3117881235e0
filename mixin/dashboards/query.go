package dashboards

import (
	"fmt"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/sockscope/sockscope/mixin"
)

// window is that of rates: Grafana makes it long enough for the range of time and the scrape interval.
const window = "$__rate_interval"

// ask is a query of metrics over time. The legend may name labels, as in {{status}}.
func ask(legend, expr string) query {
	return query{Datasource: metrics(), Expr: expr, LegendFormat: legend, EditorMode: "code", Range: true}
}

// traced has the panel show exemplars, which lead to traces.
func traced(q query) query { q.Exemplar = true; return q }

// endpoint is a metric of the chosen transport, of the chosen services, endpoints and instances.
func (s service) endpoint(metric string, matchers ...string) string {
	return s.labelled("${transport}_"+metric, append(matchers, s.within("job", s.NamespaceLabel, "instance")...)...)
}

// process is a metric of the chosen services and instances as processes.
func (s service) process(metric string, matchers ...string) string {
	return s.labelled(metric, append(matchers, s.within("job", "instance")...)...)
}

// recorded is a series that rules record for the chosen services and endpoints. It has the selector already.
func (s service) recorded(name string, matchers ...string) string {
	return name + "{" + joined(append(matchers, s.within("job", s.NamespaceLabel)...)...) + "}"
}

// kept is what is recorded less often than Prometheus looks back.
func kept(selector string) string { return "last_over_time(" + selector + "[15m])" }

// labelled adds what selects the services that dashboards are for.
func (s service) labelled(metric string, matchers ...string) string {
	all := joined(append(slices.Clone(matchers), s.Selector)...)
	if all == "" {
		return metric
	}
	return metric + "{" + all + "}"
}

// within has labels match what is chosen for the variables of these names.
func (s service) within(labels ...string) []string {
	var matchers []string
	for _, label := range labels {
		matchers = append(matchers, fmt.Sprintf("%s=~%q", label, "$"+s.variable(label)))
	}
	return matchers
}

// variable is the name of the variable for a label.
func (s service) variable(label string) string {
	if label == s.NamespaceLabel {
		return "namespace"
	}
	return label
}

func rate(by, selector string) string {
	return sum(by, "rate("+selector+"["+window+"])")
}

func sum(by, expr string) string { return aggregate("sum", by, expr) }

func aggregate(operator, by, expr string) string {
	if by == "" {
		return operator + "(" + expr + ")"
	}
	return operator + " by (" + by + ") (" + expr + ")"
}

// A histogram is one in either form. Its name and matchers stand apart because classic buckets have another name.
type histogram struct{ name, matchers string }

// endpointHistogram is a histogram of the chosen transport, services, endpoints and instances.
func (s service) endpointHistogram(metric string, matchers ...string) histogram {
	all := append(slices.Clone(matchers), s.within("job", s.NamespaceLabel, "instance")...)
	return histogram{"${transport}_" + metric, joined(append(all, s.Selector)...)}
}

// histogram is one of these services.
func (s service) histogram(metric string, matchers ...string) histogram {
	return histogram{metric, joined(append(slices.Clone(matchers), s.Selector)...)}
}

// quantile is a quantile from the native form where there is one, else from the classic one.
func (h histogram) quantile(q, by string) string {
	return mixin.Quantile(q, by, h.name, h.matchers, window)
}

// quantiles are the usual ones, as lines of a panel, with exemplars.
func (h histogram) quantiles() []query {
	var lines []query
	for _, q := range []string{"50", "95", "99"} {
		lines = append(lines, traced(ask("p"+q, h.quantile("0."+q, ""))))
	}
	return lines
}

// observations is how many there are in a second.
func (h histogram) observations(by string) string {
	return "histogram_count(" + rate(by, h.of("")) + ")\nor\n" + rate(by, h.of("_count"))
}

// total is the sum of what is observed in a second.
func (h histogram) total(by string) string {
	return "histogram_sum(" + rate(by, h.of("")) + ")\nor\n" + rate(by, h.of("_sum"))
}

// cells are all observations for a heatmap: of the native form, and of the classic one where there is no native one.
func (h histogram) cells() []query {
	native := rate("", h.of(""))
	classic := ask("{{le}}", rate("le", h.of("_bucket"))+"\nunless on ()\n"+native)
	classic.Format = "heatmap"
	return []query{traced(ask("", native)), classic}
}

func (h histogram) of(part string) string {
	if h.matchers == "" {
		return h.name + part
	}
	return h.name + part + "{" + h.matchers + "}"
}

// firing selects alerts that somebody is told of.
func firing(matchers string) string {
	return "ALERTS{" + joined(`alertstate="firing"`, `severity!="none"`, matchers) + "}"
}

func sourceVariable(name, label, kind, uid, title string) dashboard.VariableModel {
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeDatasource, Name: name, Label: &label, Query: &dashboard.StringOrMap{String: &kind},
		Current: &dashboard.VariableOption{
			Text: dashboard.StringOrArrayOfString{String: &title}, Value: dashboard.StringOrArrayOfString{String: &uid},
		},
		Refresh: pointer(dashboard.VariableRefreshOnDashboardLoad), Options: []dashboard.VariableOption{},
	}
}

// transportVariable chooses what the names of metrics begin with.
func (s service) transportVariable() dashboard.VariableModel {
	var options []dashboard.VariableOption
	for i, transport := range s.Transports {
		options = append(options, dashboard.VariableOption{
			Selected: pointer(i == 0), Text: dashboard.StringOrArrayOfString{String: &transport}, Value: dashboard.StringOrArrayOfString{String: &transport},
		})
	}
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeCustom, Name: "transport", Label: pointer("Transport"),
		Query: &dashboard.StringOrMap{String: pointer(joined(s.Transports...))}, Options: options, Current: &options[0],
		Multi: pointer(false), IncludeAll: pointer(false),
	}
}

// labelVariable chooses among the values of a label. All of them include series that have no such label.
func (s service) labelVariable(title, label, selector string) dashboard.VariableModel {
	name, ask := s.variable(label), fmt.Sprintf("label_values(%s, %s)", selector, label)
	all := []string{"$__all"}
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeQuery, Name: name, Label: &title, Datasource: metrics(), Definition: &ask,
		Query:   &dashboard.StringOrMap{Map: map[string]any{"query": ask, "refId": name}},
		Refresh: pointer(dashboard.VariableRefreshOnTimeRangeChanged), Sort: pointer(dashboard.VariableSortAlphabeticalAsc),
		Multi: pointer(true), IncludeAll: pointer(true), AllValue: pointer(".*"), Options: []dashboard.VariableOption{},
		Current: &dashboard.VariableOption{
			Text: dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}}, Value: dashboard.StringOrArrayOfString{ArrayOfString: all},
		},
	}
}

// endpointVariables choose the transport, and services, endpoints and instances of it.
func (s service) endpointVariables() []dashboard.VariableModel {
	const metric = "${transport}_active_connections"
	return []dashboard.VariableModel{
		s.transportVariable(),
		s.labelVariable("Service", "job", s.labelled(metric)),
		s.labelVariable("Namespace", s.NamespaceLabel, s.labelled(metric, s.within("job")...)),
		s.labelVariable("Instance", "instance", s.labelled(metric, s.within("job", s.NamespaceLabel)...)),
	}
}

// aboutEndpoint matches alerts about the chosen services and endpoints, and those of theirs that are about no endpoint.
func (s service) aboutEndpoint() string {
	return fmt.Sprintf(`job=~"$job|", %s=~"$namespace|"`, s.NamespaceLabel)
}

// recordedInstance is a series that rules record for the chosen services and instances.
func (s service) recordedInstance(name string) string {
	return name + "{" + joined(s.within("job", "instance")...) + "}"
}
