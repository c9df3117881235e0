package desk

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/top"
)

// consoleThatFinds is a live console that answers what looks wrong.
func consoleThatFinds(t *testing.T, instance string, findings ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/api/v1/findings") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"instance":%q,"findings":[%s]}`, instance, strings.Join(findings, ","))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestFindingsOnTheOverview has the findings of three instances, of which one hangs, and none where there are none.
func TestFindingsOnTheOverview(t *testing.T) {
	released := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(released) })
	silent := func(n int) string {
		return fmt.Sprintf(`{"name":"silent_connections","severity":"info","text":"%d connections have been silent.","sort":"silent"}`, n)
	}
	evil := `{"name":"x\"><script>","severity":"bad\" onclick=\"x","text":` + quoteJSON(hostile) + `,"sort":"\" x","search":"</script>"}`
	address, _ := serve(t, Config{Consoles: []string{
		consoleThatFinds(t, "one/1", silent(12), `{"name":"slow_handling","severity":"warning","text":"Handling takes 2 s."}`),
		consoleThatFinds(t, "two/2", silent(7), evil),
		consoleThatFinds(t, "three/3", silent(7)),
		hangs.URL,
	}})
	_, page := do(t, "GET", address+"/", "")
	_, list, found := strings.Cut(page, `<ul class="rows" id="findings"`)
	list, _, _ = strings.Cut(list, "</ul>")
	if !found || strings.Count(list, "<li") != 3 {
		t.Fatalf("there are no three findings on the page:\n%s", list)
	}
	rest := list
	for _, want := range []string{
		`finding warning`, "Handling takes 2 s.", "one/1", `href="/trace?min=1s`,
		`finding info`, "12 connections have been silent.", "one/1", "7 connections have been silent.", "two/2, three/3", `href="/connections?q=&amp;sort=silent"`,
		`finding plain`, html.EscapeString(hostile),
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("%q is missing, or not in its place, in\n%s", want, list)
			continue
		}
		rest = after
	}
	for _, forbidden := range []string{"<script", hostile, `" onclick`} {
		if strings.Contains(list, forbidden) {
			t.Errorf("%q has become markup in\n%s", forbidden, list)
		}
	}
	none, _ := serve(t, Config{Consoles: []string{consoleThatFinds(t, "one/1")}})
	if _, page := do(t, "GET", none+"/", ""); strings.Contains(page, `id="findings"`) {
		t.Error("findings are shown where there are none")
	}
}

// TestFindingsAreBounded has more of everything than a page takes.
func TestFindingsAreBounded(t *testing.T) {
	var found []top.FoundAt
	for i := range 2 * maxFindings {
		for n := range 3 * maxSaid {
			for range 2 * maxInstances {
				found = append(found, top.FoundAt{
					Instance: strings.Repeat("i", 2*maxText),
					Finding:  console.Finding{Name: fmt.Sprint(i), Text: fmt.Sprint(n, strings.Repeat("x", 2*maxText))},
				})
			}
		}
	}
	list := together(found)
	if len(list) != maxFindings {
		t.Errorf("%d findings, want %d", len(list), maxFindings)
	}
	for _, f := range list {
		got := []int{len(f.Said), f.More, len(f.Said[0].Instances), f.Said[0].More}
		want := []int{maxSaid, 2 * maxSaid * 2 * maxInstances, maxInstances, maxInstances}
		if diff := cmp.Diff(want, got); diff != "" || len(f.Said[0].Text) > maxText+len("…") {
			t.Fatalf("texts, instances with others, instances of one text, and more of these (-want +got):\n%s", diff)
		}
	}
}
