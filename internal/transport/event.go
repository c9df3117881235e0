package transport

import (
	"bufio"
	"bytes"
	"errors"
)

var errTooBig = errors.New("the server sends more than is read at once")

// readEvent reads the data of the next server-sent event. Its other fields, and comments, are left out.
func readEvent(r *bufio.Reader, data *bytes.Buffer) error {
	for {
		begin := data.Len()
		if err := readLine(r, data); err != nil {
			return err
		}
		line := data.Bytes()[begin:]
		if len(line) == 0 {
			if begin > 0 {
				data.Truncate(begin - 1) // the last line ends with the event
				return nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "data" {
			data.Truncate(begin)
			continue
		}
		n := copy(line, bytes.TrimPrefix(value, []byte(" ")))
		data.Truncate(begin + n)
		data.WriteByte('\n')
	}
}

// readLine appends a line without its end.
func readLine(r *bufio.Reader, to *bytes.Buffer) error {
	for {
		piece, err := r.ReadSlice('\n')
		if to.Len()+len(piece) > readLimit {
			return errTooBig
		}
		to.Write(piece)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return err
		}
		end := 1
		if text := to.Bytes(); len(text) > 1 && text[len(text)-2] == '\r' {
			end = 2
		}
		to.Truncate(to.Len() - end)
		return nil
	}
}
