//go:build e2e && unix

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test binary stands in for the go command under this name: it takes its time, as a compiler does, and then gives
// what was built before.
const (
	slowGo         = "go"
	slowGoTakes    = "E2E_SLOW_GO_TAKES"    // for each component
	slowGoBinaries = "E2E_SLOW_GO_BINARIES" // the folder with what was built before
	slowGoPackages = 1200                   // of each component
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == slowGo {
		if err := runSlowGo(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runSlowGo(args []string) error {
	main := args[len(args)-1]
	if args[0] == "list" {
		fmt.Print(strings.Repeat(`{"ImportPath": "example.com/package"}`+"\n", slowGoPackages))
		return nil
	}
	takes, err := time.ParseDuration(os.Getenv(slowGoTakes))
	if err != nil {
		return err
	}
	for range slowGoPackages - 1 {
		fmt.Fprintln(os.Stderr, "example.com/package")
		time.Sleep(takes / slowGoPackages) // what a compiler does
	}
	fmt.Fprintln(os.Stderr, main)
	out := args[slices.Index(args, "-o")+1]
	content, err := os.ReadFile(filepath.Join(os.Getenv(slowGoBinaries), strings.TrimSuffix(filepath.Base(out), ".partial")))
	if err != nil {
		return err
	}
	return os.WriteFile(out, content, 0o700)
}

// slowBuilds returns the environment in which each component takes so long to build, and the components' names.
func slowBuilds(t *testing.T, binary string, takes time.Duration) (env, names []string) {
	t.Helper()
	build := exec.Command(binary, "build")
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		t.Fatalf("build the components: %v", err)
	}
	built := strings.Fields(string(out))
	dir, bin := t.TempDir(), t.TempDir()
	for _, path := range built { // wherever they are
		if err := os.Link(path, filepath.Join(bin, filepath.Base(path))); err != nil {
			if err := os.Symlink(path, filepath.Join(bin, filepath.Base(path))); err != nil {
				t.Fatal(err)
			}
		}
		name, _, _ := strings.Cut(filepath.Base(path), "-")
		names = append(names, name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, slowGo)); err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"),
		slowGoTakes + "=" + takes.String(), slowGoBinaries + "=" + bin,
	}, names
}

// report is what the desk says of a component.
type report struct {
	Name, State, Detail string
}

// status is the desk's, or an error while there is no desk.
func (s *stack) status() (components []report, ready bool, err error) {
	var answer struct {
		Ready      bool
		Components []report
	}
	err = fetch("http://"+s.at.Desk+"/api/status", &answer)
	return answer.Components, answer.Ready, err
}

// TestFirstStart has the components come one by one, as they do when they have to be built, and looks at the desk all
// the while: nothing is called down, and in the end nobody was told of anything.
func TestFirstStart(t *testing.T) {
	binary := program(t)
	// As long as four minutes at true speed.
	env, names := slowBuilds(t, binary, 4*time.Minute/alertSpeed)
	s := begin(t, binary, freeOffset(t, 10000), t.TempDir(), env, fmt.Sprintf("--alert-speed=%d", alertSpeed), "--cache="+t.TempDir())

	seen := make(map[string][]string) // states of each component, in their order
	counted := false
	eventually(t, "every component ready", 4*time.Minute, func() error {
		components, ready, err := s.status()
		if err != nil {
			return err
		}
		for _, c := range components {
			if c.State == "not_ready" {
				t.Errorf("%s is called down: %s", c.Name, c.Detail)
			}
			if states := seen[c.Name]; len(states) == 0 || states[len(states)-1] != c.State {
				seen[c.Name] = append(states, c.State)
			}
			counted = counted || c.State == "building" && strings.Contains(c.Detail, " of 1,200 packages")
		}
		for _, page := range []string{"/", "/inbox", "/query", "/trace", "/trace/724e3b184d68acf94e746096135d877c"} {
			s.looksGood(t, page)
		}
		if !ready {
			return errors.New("not yet")
		}
		return nil
	})
	t.Logf("the desk saw %v", seen)
	waited := 0
	for _, states := range seen {
		if slices.Contains(states, "waiting") {
			waited++
		}
		if states[len(states)-1] != "ready" {
			t.Errorf("states %v, want ready in the end", states)
		}
	}
	if !counted || waited == 0 {
		t.Errorf("of %v nothing was seen to be waiting and to be built package by package", names)
	}
	s.awaitUp(t)
	eventually(t, "the heartbeat", time.Minute, func() error {
		list, err := s.inbox()
		if err == nil && len(list) == 0 {
			err = errors.New("the inbox is empty")
		}
		return err
	})
	// An alert that fires late is notified by then.
	until := time.Now().Add(5 * time.Minute / alertSpeed)
	for time.Now().Before(until) {
		s.onlyHeartbeats(t)
		time.Sleep(time.Second) // there is no event for that nothing happens
	}
}

// onlyHeartbeats makes sure that nobody was told of an alert.
func (s *stack) onlyHeartbeats(t *testing.T) {
	t.Helper()
	list, err := s.inbox()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if n.Alert != "Watchdog" {
			t.Fatalf("%s %s in the inbox: %+v", n.Event, n.Alert, n)
		}
	}
}

// looksGood makes sure that the page of the desk has nothing red on it.
func (s *stack) looksGood(t *testing.T, page string) {
	t.Helper()
	resp, err := http.Get("http://" + s.at.Desk + page)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
		return
	}
	html := strings.Replace(string(body), `id="lost" class="banner bad"`, "", 1) // which is hidden
	for _, bad := range []string{"banner bad", "dot not_ready", "card bad", "detail"} {
		if strings.Contains(html, `class="`+bad+`"`) {
			t.Errorf("%s has something red on it (%s):\n%s", page, bad, html)
		}
	}
}
