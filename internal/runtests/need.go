package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The suites of tests. check is what "make check" does.
const (
	unit     = "unit"
	e2e      = "e2e"
	settings = "settings"
	compose  = "compose"
	soak     = "soak"
	outage   = "outage"
	check    = "check"
)

// need is something that tests need and that does not come with Go.
type need struct {
	what     string
	why      string
	suites   []string // that need it
	programs []string // that must be on PATH
	there    func(context.Context) bool
	// Its packages, by the program that installs them.
	packages map[string]string
	// install installs what the packages may not have.
	install func(context.Context) error
	// The tests that need it: folders of packages, and names of tests. A suite without either can't be run at all,
	// unless it is unit or e2e.
	folders []string
	tests   []string
}

const cCompiler = "a C compiler"

// needs is the only list of what tests need.
func needs() []need {
	return []need{
		{
			what: cCompiler, why: "the race detector is linked by it", suites: []string{unit},
			there:    compilesC,
			packages: map[string]string{"apt-get": "gcc libc6-dev", "dnf": "gcc", "pacman": "gcc"},
		},
		{
			what: "Chromium", why: "pages are tested in it", suites: []string{unit, e2e}, programs: []string{"chromium"},
			packages: map[string]string{"apt-get": "chromium", "dnf": "chromium", "pacman": "chromium", "brew": "chromium"},
			folders:  []string{"demo/browser", "internal/desk", "internal/e2e"},
			tests:    []string{"TestStack/page"},
		},
		{
			what: "Redis", why: "nodes of one service are in step through it", suites: []string{unit, compose, soak}, programs: []string{"redis-server"},
			packages: map[string]string{"apt-get": "redis-server", "dnf": "redis", "pacman": "redis", "brew": "redis"},
			folders:  []string{"demo", "demo/history", "docs/examples", "instrument/backplane"},
		},
		{
			what: "the module websockets of Python 3", why: "a client in another language talks with the demo", suites: []string{unit},
			there:    importsWebsockets,
			packages: map[string]string{"apt-get": "python3-websockets", "dnf": "python3-websockets", "pacman": "python-websockets"},
			tests:    []string{"TestForeignPeer"},
		},
		{
			what: "the modules websockets and prometheus_client of Debian's Python 3", why: "a service in another language is observed",
			suites:   []string{e2e},
			there:    importsServices,
			packages: map[string]string{"apt-get": "python3-websockets python3-prometheus-client"},
			tests:    []string{"TestStack/service_in_Python"},
		},
		{
			// Another Node.js than Debian's brings npm along, and conflicts with Debian's npm.
			what: "Node.js with npm", why: "a service and clients in another language are observed", suites: []string{e2e}, programs: []string{"npm"},
			packages: map[string]string{"apt-get": "nodejs npm", "dnf": "nodejs npm", "pacman": "nodejs npm", "brew": "node"},
			tests:    []string{"TestStack/service_in_Node", "TestStack/gRPC_client_in_Node", "TestSocketIOClient"},
		},
		{
			what: "Node.js", why: "the page's editors of a document run in it", suites: []string{unit}, programs: []string{"node"},
			packages: map[string]string{"apt-get": "nodejs", "dnf": "nodejs", "pacman": "nodejs", "brew": "node"},
			tests:    []string{"TestPagesConverge"},
		},
		{
			what: "Node.js with WebSocket and EventSource", why: "the module for web pages runs in it", suites: []string{unit},
			there:    func(ctx context.Context) bool { return modernNode(ctx) != "" },
			packages: map[string]string{"apt-get": "nodejs npm", "dnf": "nodejs npm", "pacman": "nodejs npm", "brew": "node"},
			install:  installNode,
			folders:  []string{"instrument/browser"},
		},
		{
			what: "Docker", why: "the compose file is run by it", suites: []string{compose}, programs: []string{"docker"},
			there:    runsContainers,
			packages: map[string]string{"apt-get": "docker.io iptables"},
		},
		{
			what: "what images are made of", why: "the upstream images may be out of reach", suites: []string{compose},
			programs: []string{"busybox", "nginx", "redis-cli"},
			packages: map[string]string{"apt-get": "busybox-static nginx-light redis-tools ca-certificates"},
		},
		{
			what: "make", why: "it runs the checks", suites: []string{check}, programs: []string{"make"},
			packages: map[string]string{"apt-get": "make", "dnf": "make", "pacman": "make", "brew": "make"},
		},
	}
}

func (n need) isThere(ctx context.Context) bool {
	for _, program := range n.programs {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return n.there == nil || n.there(ctx)
}

// compilesC tries the compiler that Go would use, because one without the C library's headers is useless.
func compilesC(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return false
	}
	cc := strings.Fields(string(out))
	if len(cc) == 0 {
		return false
	}
	cmd := exec.CommandContext(ctx, cc[0], append(cc[1:], "-E", "-x", "c", "-")...)
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\n")
	return cmd.Run() == nil
}

// runsContainers tells whether there is a Docker engine, or what the test needs to start one.
func runsContainers(ctx context.Context) bool {
	return exec.CommandContext(ctx, "docker", "version").Run() == nil || has("dockerd") && has("iptables")
}

// importsWebsockets tries the interpreters that the test tries.
func importsWebsockets(ctx context.Context) bool {
	for _, interpreter := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(ctx, interpreter, "-c", "import websockets").Run() == nil {
			return true
		}
	}
	return false
}

// importsServices tries what the service in Python needs.
func importsServices(ctx context.Context) bool {
	return exec.CommandContext(ctx, "/usr/bin/python3", "-c", "import prometheus_client, websockets").Run() == nil
}

// lacking returns the needs of the suites that are missing.
func lacking(ctx context.Context, suites []string) []need {
	var missing []need
	for _, n := range needs() {
		wanted := slices.ContainsFunc(n.suites, func(s string) bool { return slices.Contains(suites, s) })
		if wanted && !n.isThere(ctx) {
			missing = append(missing, n)
		}
	}
	return missing
}

// provide installs missing needs if it knows how to. It says how to get the rest, and returns the rest.
func provide(ctx context.Context, suites []string) []need {
	missing := lacking(ctx, suites)
	if len(missing) == 0 {
		return nil
	}
	fmt.Println("What the tests need and what is not here:")
	for _, n := range missing {
		fmt.Printf("  %s: %s\n", n.what, n.why)
	}
	if prefix, ok := asRoot(); ok && has("apt-get") {
		if err := aptInstall(ctx, prefix, packagesOf(missing, "apt-get")); err != nil {
			fmt.Println(err)
		}
		missing = lacking(ctx, suites)
	}
	for _, n := range missing {
		if n.install != nil {
			if err := n.install(ctx); err != nil {
				fmt.Println(err)
			}
		}
	}
	if missing = lacking(ctx, suites); len(missing) > 0 {
		fmt.Println("Still missing:")
		fmt.Print(advice(missing, manager()))
	}
	return missing
}

// advice says how to get what is missing with a package manager, which is empty where there is none that we know.
func advice(missing []need, manager string) string {
	var b strings.Builder
	if packages := packagesOf(missing, manager); len(packages) > 0 {
		fmt.Fprintf(&b, "Get it by: %s\n", strings.Join(append(installCommand(manager), packages...), " "))
	}
	for _, n := range missing {
		if n.packages[manager] == "" {
			fmt.Fprintf(&b, "Get %s as your system offers it", n.what)
			if len(n.programs) > 0 {
				fmt.Fprintf(&b, "; on PATH there must be %s", strings.Join(n.programs, ", "))
			}
			b.WriteString(".\n")
		}
	}
	return b.String()
}

func packagesOf(missing []need, manager string) []string {
	var packages []string
	for _, n := range missing {
		packages = append(packages, strings.Fields(n.packages[manager])...)
	}
	return packages
}

func installCommand(manager string) []string {
	switch manager {
	case "pacman":
		return []string{"sudo", "pacman", "-S"}
	case "brew":
		return []string{"brew", "install"}
	}
	return []string{"sudo", manager, "install"}
}

// manager is the program that installs packages here.
func manager() string {
	for _, name := range []string{"apt-get", "dnf", "pacman", "brew"} {
		if has(name) {
			return name
		}
	}
	return ""
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// asRoot returns what a command needs in front of it to be run as root, and whether there is a way.
func asRoot() (prefix []string, ok bool) {
	switch {
	case os.Geteuid() == 0:
		return nil, true
	case has("sudo"):
		return []string{"sudo"}, true
	}
	return nil, false
}

func aptInstall(ctx context.Context, prefix, packages []string) error {
	quiet := append(slices.Clone(prefix), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
	for _, args := range [][]string{
		append(slices.Clone(quiet), "update"),
		append(append(slices.Clone(quiet), "install", "--no-install-recommends"), packages...),
	} {
		fmt.Println("+", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdin = os.Stdin // sudo may ask for a password
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
