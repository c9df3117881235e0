package demo

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages of the demo, from those that know no other to the root, which knows all. A package imports
// those of lower layers only. A name that ends in a slash stands for all below it that are not named themselves.
var layers = [][]string{
	{"proto/"},
	{"wire", "reply", "transport/socketio/packet"},
	{"auth", "fault", "history", "loopback", "observe", "outbox", "page", "presence"},
	{"room", "admission"},
	{"cluster"},
	{"use"},
	{"use/"},
	{"use/dashboard"},
	{"session"},
	{"transport/"},
	{"fault/inject"},
	{"."},
	{"demotest"},
}

// unknown are the packages of lower layers that one must not know of all the same.
var unknown = map[string][]string{
	"session":       {"use/", "cluster", "room", "history", "presence"}, // it knows uses by their interface
	"transport/":    {"use", "use/", "cluster", "room", "history", "presence", "outbox"},
	"use/dashboard": {"cluster", "room", "history", "presence"},
}

// matches reports whether a package is the named one, or one of those that the name stands for.
func matches(pkg, name string) bool {
	return pkg == name || strings.HasSuffix(name, "/") && strings.HasPrefix(pkg, name)
}

// layerOf returns the index of the layer that a package is in, -1 if it is in none.
func layerOf(pkg string) int {
	if i := slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, pkg) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(layers, func(l []string) bool {
		return slices.ContainsFunc(l, func(name string) bool { return matches(pkg, name) })
	})
}

// TestDependenciesRunOneWay reads what each package imports, its tests aside.
func TestDependenciesRunOneWay(t *testing.T) {
	t.Parallel()
	seen := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		pkg := path.Dir(file)
		if layerOf(pkg) < 0 {
			t.Errorf("%s is in no layer: say in which", pkg)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imported, ours := strings.CutPrefix(imported+"/", "github.com/sockscope/sockscope/demo/"); ours {
				seen++
				if why := forbids(pkg, path.Clean(imported)); why != "" {
					t.Errorf("%s imports %s, %s", file, path.Clean(imported), why)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("only %d imports were found", seen)
	}
}

// forbids returns why a package must not import another, nothing if it may.
func forbids(pkg, imported string) string {
	if layerOf(imported) >= layerOf(pkg) {
		return "which is not below it"
	}
	for name, not := range unknown {
		if matches(pkg, name) && slices.ContainsFunc(not, func(name string) bool { return matches(imported, name) }) {
			return "which it must not know"
		}
	}
	return ""
}

// TestForbids looks at imports that there are not.
func TestForbids(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pkg, imported string
		forbidden     bool
	}{
		{".", "use/chat", false},
		{"use/chat", "cluster", false},
		{"use/chat", "session", true},
		{"use/chat", "use/stream", true},
		{"session", "use", false},
		{"session", "use/chat", true},
		{"transport/poll", "session", false},
		{"transport/poll", "transport/sse", true},
		{"transport/poll", "room", true},
		{"session", "fault/inject", true},
	} {
		if got := forbids(tc.pkg, tc.imported) != ""; got != tc.forbidden {
			t.Errorf("%s imports %s: forbidden is %v, want %v", tc.pkg, tc.imported, got, tc.forbidden)
		}
	}
}
