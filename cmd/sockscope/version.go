package main

import (
	"runtime/debug"
	"strings"
)

// version is that of the release or commit that this program was built from.
func version(info *debug.BuildInfo) string {
	if info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "development"
	}
	return info.Main.Version
}

// builtFrom says which commit this program was built from, as far as the go command knew (it does in a checkout), and
// with which Go.
func builtFrom(info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	var parts []string
	if commit := settings["vcs.revision"]; commit != "" {
		if settings["vcs.modified"] == "true" {
			commit += " with changes"
		}
		parts = append(parts, "commit "+commit)
	}
	return strings.Join(append(parts, info.GoVersion), ", ")
}
