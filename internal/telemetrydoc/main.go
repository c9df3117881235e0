// Command telemetrydoc makes docs/telemetry.md of docs/contract.yaml, and fills in there what needs each metric. With
// -check it writes nothing, and fails if a file differs from what would be written. Its tests have an observer, a client,
// a probe and the export of telemetry go through everything that can happen, and hold the contract to what comes out.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/needs"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if a file differs")
	flag.Parse()
	if err := run("docs", *check); err != nil {
		fmt.Fprintln(os.Stderr, "telemetrydoc:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	made, err := files(dir)
	if err != nil {
		return err
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(made)) {
		path := filepath.Join(dir, name)
		if text, err := os.ReadFile(path); err == nil && string(text) == made[name] {
			continue
		}
		differ = append(differ, path)
		if check {
			continue
		}
		if err := os.WriteFile(path, []byte(made[name]), 0o644); err != nil {
			return err
		}
	}
	if check && len(differ) > 0 {
		return fmt.Errorf("%s: not what it is made of: run `go run ./internal/telemetrydoc`", strings.Join(differ, ", "))
	}
	return nil
}

// files returns the files that are made of the contract in a folder, by name.
func files(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, contract.Name))
	if err != nil {
		return nil, err
	}
	c, err := contract.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := needs.FillIn(c); err != nil {
		return nil, err
	}
	data, err := c.Text()
	if err != nil {
		return nil, err
	}
	doc, err := render(c)
	if err != nil {
		return nil, err
	}
	return map[string]string{contract.Name: string(data), "telemetry.md": doc}, nil
}
