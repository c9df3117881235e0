package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "8749d3a"}, {Key: "vcs.modified", Value: "false"}}
	changed := []debug.BuildSetting{{Key: "vcs.revision", Value: "8749d3a"}, {Key: "vcs.modified", Value: "true"}}
	for _, tt := range []struct {
		main, want string
		settings   []debug.BuildSetting
	}{
		{"v0.1.0", "v0.1.0 (go1.26.8)", nil},
		{"(devel)", "development (go1.26.8)", nil},
		{"", "development (go1.26.8)", nil},
		{"v0.1.1-0.20261130200000-8749d3a", "v0.1.1-0.20261130200000-8749d3a (commit 8749d3a, go1.26.8)", commit},
		{"v0.1.0+dirty", "v0.1.0+dirty (commit 8749d3a with changes, go1.26.8)", changed},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: tt.main}, Settings: tt.settings}
		if got := version(info) + " (" + builtFrom(info) + ")"; got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	out, err := runCommand(t, "--version")
	if want := "sockscope development (" + runtime.Version() + ")\n"; err != nil || out != want {
		t.Errorf("--version printed %q, %v, want %q", out, err, want)
	}
}
