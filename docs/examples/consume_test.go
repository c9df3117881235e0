package examples_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every code block of the page about feeds that names a file is a part of that file.
func TestFeedsAreFromTheRecipes(t *testing.T) {
	page, err := os.ReadFile(repository(t) + "/docs/consume-a-feed.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(page), "\n"); lines > 300 {
		t.Errorf("the page has %d lines, want at most 300", lines)
	}
	blocks := regexp.MustCompile("(?ms)^```go (\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) == 0 {
		t.Error("the page shows no recipe")
	}
	for _, block := range blocks {
		file, err := os.ReadFile(repository(t) + "/" + block[1])
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(file), block[2]) {
			t.Errorf("this is not in %s:\n%s", block[1], block[2])
		}
	}
}
