package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// layer writes the root file system of an image as a tar stream. Owners are
// written as given, whoever runs this. The first error is kept and makes the
// later calls do nothing.
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
