// Package examples_test keeps the guide and its programs true.
package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every code block of the guide that names a file is that file, to the byte.
func TestGuideShowsTheFiles(t *testing.T) {
	guide, err := os.ReadFile("../instrument-your-service.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```[a-z]+ (\\S+)\n(.*?)^```$")
	var shown []string
	for _, block := range blocks.FindAllStringSubmatch(string(guide), -1) {
		shown = append(shown, block[1])
		file, err := os.ReadFile(filepath.Join("../..", block[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(file), block[2]); diff != "" {
			t.Errorf("the guide shows another %s than there is (-file +guide):\n%s", block[1], diff)
		}
	}
	want := []string{"instrument/ws/gorilla/testdata/chat.patch", "docs/examples/clock_test.go", "docs/examples/middleware_test.go",
		"docs/examples/refusal_test.go"}
	programs, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range programs {
		want = append(want, "docs/examples/"+file)
	}
	slices.Sort(want)
	slices.Sort(shown)
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("files that the guide shows (-want +got):\n%s", diff)
	}
}
