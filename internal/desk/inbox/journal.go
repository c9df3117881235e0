package inbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	journalName = "inbox.jsonl"
	// maxJournal is when the file is rewritten with what is still kept, which is at most about half of it.
	maxJournal = 2 * maxBytes
	// maxLine bounds a line on reading. Escaping makes a line at most six times as long as what is in it.
	maxLine = 1 << 20
	// retryDisk is how long a disk that refused a write is left alone.
	retryDisk = 10 * time.Second
)

// journal is the copy of the inbox on disk: one notification per line, appended as they come. Lines are not synced:
// what a crash of the machine may cost is the last seconds of a convenience.
type journal struct {
	path   string
	file   *os.File
	size   int64
	err    error // why the copy on disk is behind, nil when it is not
	tried  time.Time
	closed bool
}

func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory (choose another one by --data): %w", err)
	}
	j := &journal{path: filepath.Join(dir, journalName)}
	return j, j.reopen()
}

// reopen opens the file for appending and learns its size.
func (j *journal) reopen() error {
	file, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open %s (choose another directory by --data): %w", j.path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	j.file, j.size = file, info.Size()
	return nil
}

// load hands out every line that can be read and counts the others. A last line without its end is what a crash leaves
// behind; the file is then rewritten before anything is appended to it.
func (j *journal) load(each func(Notification)) (unreadable int, err error) {
	r := bufio.NewReaderSize(j.file, 64<<10)
	for {
		line, tooLong, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return unreadable, err
		}
		var n Notification
		if len(line) > 0 && !tooLong && json.Unmarshal(line, &n) == nil && n.ID != "" {
			each(n)
		} else if len(line) > 0 {
			unreadable++
		}
		if err != nil {
			if len(line) > 0 {
				j.err = errors.New("the last line is incomplete")
			}
			return unreadable, nil
		}
	}
}

// readLine returns the next line without its end, or as much of it as maxLine allows. The error is io.EOF for what
// stands after the last line end.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			tooLong = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if err == nil && !tooLong {
				line = line[:len(line)-1]
			}
			return line, tooLong, err
		}
	}
}

// append writes one more notification; kept is the whole inbox with it, for when the file has to be written anew. It
// keeps the error instead of returning it, because the inbox goes on without its copy.
func (j *journal) append(n Notification, kept iter.Seq[Notification], log *slog.Logger) {
	if j.closed || j.err != nil && time.Since(j.tried) < retryDisk {
		return
	}
	before := j.err
	j.tried = time.Now()
	if j.err != nil || j.size > maxJournal {
		j.err = j.rewrite(kept)
	} else {
		j.err = j.write(n)
	}
	switch {
	case j.err != nil && before == nil:
		log.Error("the inbox is kept in memory only: its journal can't be written", "path", j.path, "error", j.err)
	case j.err == nil && before != nil:
		log.Info("the inbox's journal is complete again", "path", j.path)
	}
}

func (j *journal) write(n Notification) error {
	line, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode a notification: %w", err)
	}
	written, err := j.file.Write(append(line, '\n'))
	j.size += int64(written)
	return err
}

// rewrite replaces the file by one that holds exactly what is kept. The old file stays until the new one is complete.
func (j *journal) rewrite(kept iter.Seq[Notification]) error {
	next, err := os.OpenFile(j.path+".next", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", j.path, err)
	}
	err = writeAll(next, kept)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), j.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rewrite %s: %w", j.path, err), os.Remove(next.Name()))
	}
	old := j.file
	if err := j.reopen(); err != nil {
		return err
	}
	return old.Close()
}

func writeAll(w io.Writer, kept iter.Seq[Notification]) error {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	for n := range kept {
		if err := encoder.Encode(n); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (j *journal) close() error {
	j.closed = true
	return j.file.Close()
}
