package component

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// file is one of a module, with its slash-separated path in it.
type file struct {
	path    string
	content []byte
}

// module returns the files that the component is built from, always in the same order. The sources, if there are any,
// are where the repository has them: that makes deploy/native/NAME.mod the go.mod of both (see the go command's
// -modfile). A module among them, which takes the place of another, has its go.mod beside its folder too.
func (s *Store) module(c Component) ([]file, error) {
	const native = "native"
	var files []file
	add := func(from, to string) error {
		content, err := fs.ReadFile(s.Deploy, from)
		files = append(files, file{to, content})
		return err
	}
	sources := path.Join(native, c.Module)
	err := fs.WalkDir(s.Deploy, sources, func(from string, _ fs.DirEntry, err error) error {
		to := path.Join("deploy", from)
		switch {
		case from == sources && errors.Is(err, fs.ErrNotExist):
			return nil // it only pins a program
		case err != nil || strings.HasSuffix(from, "_test.go"):
			return err
		case path.Ext(from) == ".go":
			return add(from, to)
		case path.Ext(from) == ".mod":
			return add(from, path.Join(strings.TrimSuffix(to, ".mod"), "go.mod"))
		}
		return nil
	})
	if err == nil {
		err = errors.Join(add(sources+".mod", "go.mod"), add(sources+".sum", "go.sum"))
	}
	if err != nil {
		return nil, fmt.Errorf("read the module of %s: %w (is this the deploy folder of this version? --deploy)", c.Name, err)
	}
	return files, nil
}

// sources is the folder to which modules are written for building.
func (s *Store) sources() string { return filepath.Join(s.Dir, "src") }

// WriteModule writes the component's module into a folder of its own and returns the folder. Another program may write
// or build the same at the same time, so each file appears as a whole or not at all.
func (s *Store) WriteModule(c Component) (dir string, err error) {
	binary, err := s.path(c)
	if err != nil {
		return "", err
	}
	files, err := s.module(c)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(s.sources(), filepath.Base(binary))
	for _, f := range files {
		if err := writeWhole(filepath.Join(dir, filepath.FromSlash(f.path)), f.content); err != nil {
			return "", fmt.Errorf("write the module of %s: %w (name another cache directory by --cache)", c.Name, err)
		}
	}
	return dir, nil
}

func writeWhole(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial, err := os.CreateTemp(filepath.Dir(path), "*.partial")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(content)
	if err := errors.Join(err, partial.Close()); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}
