//go:build e2e && unix

package e2e

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	reference = regexp.MustCompile(`(href|src)="([^"]+)"`)
	// placeholder is in the answer of Prometheus or Jaeger for a page that they don't have.
	placeholder = regexp.MustCompile(`Error opening|is a placeholder`)
)

// repository is where links to files of the repository lead.
const repository = "https://github.com/sockscope/sockscope/blob/main/"

// maxPages bounds how many pages are looked at: each trace has one.
const maxPages = 150

// testLinks follows every link from the desk's pages: each leads to a page.
func (s *stack) testLinks(t *testing.T) {
	desk, err := url.Parse("http://" + s.at.Desk + "/")
	if err != nil {
		t.Fatal(err)
	}
	from := map[string]string{desk.String(): "the start"} // where each link stands
	queue := []string{desk.String()}
	for pages := 0; len(queue) > 0 && pages < maxPages; pages++ {
		link := queue[0]
		queue = queue[1:]
		text := follow(t, link, from[link])
		base, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range reference.FindAllStringSubmatch(text, -1) {
			if base.Host != desk.Host && match[1] == "href" {
				continue // where other programs' pages lead to is their affair, but not what they consist of
			}
			target, err := base.Parse(html.UnescapeString(match[2]))
			if err != nil {
				t.Errorf("%s has the link %q: %v", link, match[2], err)
				continue
			}
			target.Fragment = ""
			next := target.String()
			if _, known := from[next]; known {
				continue
			}
			from[next] = link
			if file, ours := strings.CutPrefix(next, repository); ours {
				if _, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(file))); err != nil {
					t.Errorf("%s leads to a file of the repository: %v", link, err)
				}
				continue
			}
			if target.Hostname() != "127.0.0.1" {
				t.Errorf("%s leads to %s, which is none of the stack", link, next)
				continue
			}
			queue = append(queue, next)
		}
	}
	t.Logf("%d links", len(from))
	if body, err := get("http://" + s.at.JaegerQuery); err != nil || !placeholder.MatchString(body) {
		t.Errorf("a placeholder is not recognized, or Jaeger has a page now: %v", err)
	}
	for _, want := range []string{"/", "/inbox", "/query", "/dashboards", "/dashboard/sockscope-websockets", "/trace", "/logs", "/connections"} {
		if from["http://"+s.at.Desk+want] == "" {
			t.Errorf("nothing leads to %s", want)
		}
	}
}

// follow returns the page behind a link.
func follow(t *testing.T, link, from string) string {
	t.Helper()
	text, err := get(link)
	if err != nil {
		t.Errorf("the link %s of %s: %v", link, from, err)
	}
	if found := placeholder.FindString(text); found != "" {
		t.Errorf("the link %s of %s leads to a placeholder (%s)", link, from, found)
	}
	return text
}

// get returns a page, which has to be answered by 200.
func get(address string) (string, error) {
	resp, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered by %s: %.300s", resp.Status, body)
	}
	return string(body), err
}
