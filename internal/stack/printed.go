package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/desk/status"
)

// upLog is the name of the log of the stack itself, which a detached one has.
const upLog = "up"

// Logs writes what a service of the stack has printed, since its log was last begun anew, which happens every 10 MB.
// With follow it goes on until ctx ends.
func Logs(ctx context.Context, w io.Writer, data, service string, follow bool) error {
	in := placesIn(data)
	list, err := status.Load(in.components())
	if err != nil {
		return fmt.Errorf("%w (has a stack been started with this --data?)", err)
	}
	names := []string{upLog}
	for _, c := range list {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, service) {
		return fmt.Errorf("%q is no part of the stack: take one of %s", service, strings.Join(names, ", "))
	}
	var file *os.File
	defer func() { _ = file.Close() }() // it was only read
	for {
		next, err := newer(file, in.log(service))
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if file != nil {
			if _, err := io.Copy(w, file); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
		}
		switch {
		case next != nil:
			_ = file.Close()
			file = next
			continue
		case !follow && file == nil:
			return fmt.Errorf("there is no log of %s yet: it has not been started", service)
		case !follow:
			return nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// newer opens the file at path unless there is none or it is the one that is open already.
func newer(opened *os.File, path string) (*os.File, error) {
	is, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if opened != nil {
		if was, err := opened.Stat(); err != nil || os.SameFile(was, is) {
			return nil, err
		}
	}
	return os.Open(path)
}
