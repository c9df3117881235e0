package component

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoModuleOfGrafanas makes sure that no module of the repository needs Loki, Grafana or k6, whose licence
// (AGPL-3.0) is not ours. Of what Grafana Labs have written, these few are under licences that fit.
func TestNoModuleOfGrafanas(t *testing.T) {
	fits := map[string]bool{
		"github.com/grafana/grafana-foundation-sdk/go": true, // Apache-2.0
		"github.com/grafana/loki-client-go":            true, // Apache-2.0
		"github.com/grafana/loki/pkg/push":             true, // Apache-2.0
		"github.com/grafana/regexp":                    true, // BSD-3-Clause
	}
	theirs := regexp.MustCompile(`(?:github\.com/grafana|go\.k6\.io)/[^\s"]+`)
	files := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || len(name) > 2 && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".mod" && ext != ".sum" && d.Name() != "go.work" {
			return nil
		}
		files++
		content, err := os.ReadFile(path)
		for _, module := range theirs.FindAllString(string(content), -1) {
			if !fits[module] {
				t.Errorf("%s: %s is not among the modules that we may need", path, module)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were read", files)
	}
}
