// Package examples_test keeps the guide and its programs true.
package examples_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the code blocks of the guide from the files that they name")

// repository returns where the repository is, as an absolute path that begins in this module. The go command believes a
// kept result until a file changes that the test has opened, and of those it only looks at files whose path does so.
func repository(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return here + "/../.."
}

// TestGuideShowsTheFiles compares each code block that names a file, or a function of a file as in file.go#room.say,
// with that file.
func TestGuideShowsTheFiles(t *testing.T) {
	path := repository(t) + "/docs/instrument-your-service.md"
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	blocks := regexp.MustCompile("(?ms)^```([a-z]+) (\\S+)\n(.*?)^```$")
	want := blocks.ReplaceAllStringFunc(string(guide), func(block string) string {
		m := blocks.FindStringSubmatch(block)
		text, err := excerpt(repository(t), m[2])
		if err != nil {
			t.Error(err)
			return block
		}
		file, _, _ := strings.Cut(m[2], "#")
		shown[strings.TrimPrefix(file, "docs/examples/")] = true
		return "```" + m[1] + " " + m[2] + "\n" + text + "```"
	})
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(guide)); diff != "" {
		t.Errorf("run `go test -run TestGuideShowsTheFiles -update` in docs/examples (-files +guide):\n%s", diff)
	}
	programs, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if dir := filepath.Dir(p); !shown[p] && !strings.Contains(string(guide), "(examples/"+dir+")") {
			t.Errorf("the guide neither shows nor links the program %s", dir)
		}
	}
}

// excerpt returns the text of a file of a repository, or of one of its functions with its comment.
func excerpt(repository, reference string) (string, error) {
	file, name, part := strings.Cut(reference, "#")
	text, err := os.ReadFile(repository + "/" + file)
	if err != nil || !part {
		return string(text), err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && nameOf(f) == name {
			start := f.Pos()
			if f.Doc != nil {
				start = f.Doc.Pos()
			}
			return string(text[files.Position(start).Offset:files.Position(f.End()).Offset]) + "\n", nil
		}
	}
	return "", fmt.Errorf("%s has no function %s", file, name)
}

// nameOf returns the name of a function, after that of its receiver's type if it is a method.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	return fmt.Sprint(receiver) + "." + f.Name.Name
}
