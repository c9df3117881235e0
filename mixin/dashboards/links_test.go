package dashboards

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/mixin"
)

// TestAlertsLinkTheirPanels follows the link of each alert to the panel that it names.
func TestAlertsLinkTheirPanels(t *testing.T) {
	c := mixin.Default()
	c.DashboardURL = "http://grafana/d/"
	groups, err := mixin.Groups(c)
	if err != nil {
		t.Fatal(err)
	}
	titles := make(map[string]string) // by uid and id
	for _, b := range (service{Config: c, logs: loki}).boards() {
		for _, r := range b.rows {
			for _, p := range r.panels {
				titles[b.uid+" "+strconv.Itoa(int(p.id))] = p.title
			}
		}
	}
	for _, g := range groups {
		for _, a := range g.Alerts {
			link := c.PanelURL(a, g.Transport)
			u, err := url.Parse(strings.NewReplacer("{{", "", "}}", "", " ", "", "|", "", "$", "").Replace(link))
			if err != nil {
				t.Errorf("%s: %v", a.Name, err)
				continue
			}
			uid := strings.TrimPrefix(u.Path, "/d/")
			if got := titles[uid+" "+u.Query().Get("viewPanel")]; got == "" || got != a.Panel {
				t.Errorf("%s links the panel %q by %s, and names %q", a.Name, got, link, a.Panel)
			}
			if got := u.Query().Get("var-transport"); got != g.Transport {
				t.Errorf("%s links the transport %q, want %q", a.Name, got, g.Transport)
			}
		}
	}
}
