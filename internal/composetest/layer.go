package main

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// layer writes the root file system of an image as a tar stream. The owners are the given ones, not the user who runs
// this. The first error is kept, and later calls then do nothing.
type layer struct {
	out *tar.Writer
	err error
}

// Owners are user ids; the group is given the same number.
const root = 0

func (l *layer) dir(path string, owner int, mode fs.FileMode) {
	l.header(&tar.Header{Typeflag: tar.TypeDir, Name: name(path) + "/", Mode: int64(mode), Uid: owner, Gid: owner})
}

func (l *layer) text(path, content string) {
	l.header(&tar.Header{Typeflag: tar.TypeReg, Name: name(path), Mode: 0o644, Size: int64(len(content))})
	l.write(strings.NewReader(content))
}

func (l *layer) link(path, target string) {
	l.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name(path), Linkname: target, Mode: 0o777})
}

// file copies a file of this machine, following links to it.
func (l *layer) file(path, from string) {
	if l.err != nil {
		return
	}
	source, err := os.Open(from)
	if err != nil {
		l.err = err
		return
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		l.err = err
		return
	}
	l.header(&tar.Header{Typeflag: tar.TypeReg, Name: name(path), Mode: int64(info.Mode().Perm()), Size: info.Size()})
	l.write(source)
}

// programs copies programs of this machine, and the libraries that they are linked with to where they are here.
func (l *layer) programs(into string, programs ...string) {
	copied := make(map[string]bool)
	for _, program := range programs {
		l.file(filepath.Join(into, filepath.Base(program)), program)
		l.libraries(program, copied)
	}
}

func (l *layer) libraries(program string, copied map[string]bool) {
	if l.err != nil {
		return
	}
	var needed []string
	if needed, l.err = linkedWith(program); l.err != nil {
		l.err = fmt.Errorf("find the libraries of %s: %w", program, l.err)
	}
	for _, library := range needed {
		if !copied[library] {
			copied[library] = true
			l.file(library, library)
			l.libraries(library, copied)
		}
	}
}

// tree copies a directory of this machine without what skip names.
func (l *layer) tree(path, from string, skip func(rel string) bool) {
	if l.err != nil {
		return
	}
	l.err = filepath.WalkDir(from, func(found string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, found)
		if err != nil {
			return err
		}
		switch {
		case skip(rel) && d.IsDir():
			return fs.SkipDir
		case skip(rel):
		case d.IsDir():
			l.dir(filepath.Join(path, rel), root, 0o755)
		default:
			l.file(filepath.Join(path, rel), found)
		}
		return l.err
	})
}

// linkedWith returns the libraries that a program or library names, the loader among them.
func linkedWith(program string) ([]string, error) {
	file, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var paths []string
	if loader := file.Section(".interp"); loader != nil {
		path, err := loader.Data()
		if err != nil {
			return nil, err
		}
		paths = append(paths, strings.TrimRight(string(path), "\x00"))
	}
	for _, name := range names {
		// Debian has them in the directory of the architecture.
		found, err := filepath.Glob("/lib/*-linux-gnu*/" + name)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("%s is not in /lib: %w", name, errors.Join(err, fs.ErrNotExist))
		}
		paths = append(paths, found[0])
	}
	return paths, nil
}

func (l *layer) header(h *tar.Header) {
	if l.err == nil {
		l.err = l.out.WriteHeader(h)
	}
}

func (l *layer) write(from io.Reader) {
	if l.err != nil {
		return
	}
	if _, err := io.Copy(l.out, from); err != nil {
		l.err = fmt.Errorf("write an image's content: %w", err)
	}
}

func name(path string) string { return strings.TrimPrefix(filepath.ToSlash(path), "/") }
