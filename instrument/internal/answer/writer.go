package answer

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// A Witness is told how a request is answered. Its methods are called by the handler's own calls, before these return.
type Witness interface {
	// Answering is called once, before the final status is sent. It returns true if the witness has dealt with the
	// header, which is then not handed on.
	Answering(status int) bool
	// Hijacked is called with a connection that was hijacked. It returns the one to hand out in its place.
	Hijacked(conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter)
}

// A Writer hands everything on to the ResponseWriter in it, which may be replaced while the request is served.
type Writer struct {
	http.ResponseWriter
	witness Witness
	status  int   // 0 until it is answered
	gone    error // the header could not be sent
}

// NewWriter returns a Writer that hands everything on to w and tells the witness, and the ResponseWriter to hand to a
// handler, which can flush and be hijacked where w can.
func NewWriter(w http.ResponseWriter, witness Witness) (*Writer, http.ResponseWriter) {
	_, hijacks := find[http.Hijacker](w)
	_, flushes := find[http.Flusher](w)
	if !flushes {
		_, flushes = find[interface{ FlushError() error }](w)
	}
	switch {
	case flushes && hijacks:
		full := &fullWriter{Writer{ResponseWriter: w, witness: witness}}
		return &full.Writer, full
	case flushes:
		flusher := &flushWriter{Writer{ResponseWriter: w, witness: witness}}
		return &flusher.Writer, flusher
	case hijacks:
		hijacker := &hijackWriter{Writer{ResponseWriter: w, witness: witness}}
		return &hijacker.Writer, hijacker
	default:
		plain := &Writer{ResponseWriter: w, witness: witness}
		return plain, plain
	}
}

// find looks for a ResponseWriter that implements T, as http.ResponseController does.
func find[T any](w http.ResponseWriter) (T, bool) {
	for {
		if t, ok := w.(T); ok {
			return t, true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			var none T
			return none, false
		}
		w = u.Unwrap()
	}
}

// Status returns the status that the handler has answered with, 0 before that.
func (w *Writer) Status() int { return w.status }

// Gone returns the error of a peer that was gone before it could be told by the header that it is to be hijacked, nil
// if there is none. Nothing more is written then.
func (w *Writer) Gone() error { return w.gone }

// Unwrap returns the ResponseWriter underneath, in which http.ResponseController finds the methods that Writer has not.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the header, see http.ResponseWriter.
func (w *Writer) WriteHeader(status int) {
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if w.gone != nil {
		return
	}
	if !final || !w.answering(status) {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *Writer) answering(status int) bool {
	if w.status != 0 {
		return false
	}
	w.status = status
	return w.witness.Answering(status)
}

// Write writes a part of the body, see http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if w.gone != nil {
		return 0, w.gone
	}
	w.answering(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// WriteString is Write for a string.
func (w *Writer) WriteString(s string) (int, error) {
	if w.gone != nil {
		return 0, w.gone
	}
	w.answering(http.StatusOK)
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom writes what it reads from src, without copying where the ResponseWriter underneath can.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.gone != nil {
		return 0, w.gone
	}
	w.answering(http.StatusOK)
	return io.Copy(w.ResponseWriter, src)
}

// CloseNotify is for handlers that still use it, such as those of gin. The channel stays silent if the ResponseWriter
// underneath does not have the method.
func (w *Writer) CloseNotify() <-chan bool {
	if n, ok := find[interface{ CloseNotify() <-chan bool }](w.ResponseWriter); ok {
		return n.CloseNotify()
	}
	return make(chan bool)
}

func (w *Writer) flush() error {
	w.answering(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *Writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	// Gin's writer sends no header before this method is called, which coder/websocket looks for on the writer it is
	// given.
	if late, ok := w.ResponseWriter.(interface{ WriteHeaderNow() }); ok && w.status != 0 {
		late.WriteHeaderNow()
	}
	if err := w.sendHeader(); err != nil {
		return nil, nil, err
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	conn, rw = w.witness.Hijacked(conn, rw)
	return conn, rw, nil
}

// sendHeader sends a header that was written before the connection is hijacked. Hijack would send it, too, but would
// not return an error.
func (w *Writer) sendHeader() error {
	if w.gone == nil && w.status == http.StatusSwitchingProtocols {
		w.gone = sendHeader(w.ResponseWriter)
	}
	return w.gone
}

// sendHeader asks net/http's own ResponseWriter, since what wraps it may take a flush for the begin of a body, but has
// other Writers on the way note the error.
func sendHeader(w http.ResponseWriter) error {
	for {
		switch t := w.(type) {
		case interface{ sendHeader() error }:
			return t.sendHeader()
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		case interface{ FlushError() error }:
			return t.FlushError()
		default:
			return nil
		}
	}
}

// The methods that ResponseWriters may have: see http.Flusher, http.ResponseController and http.Hijacker.

type fullWriter struct{ Writer }

func (w *fullWriter) Flush()                                       { _ = w.flush() }
func (w *fullWriter) FlushError() error                            { return w.flush() }
func (w *fullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

type flushWriter struct{ Writer }

func (w *flushWriter) Flush()            { _ = w.flush() }
func (w *flushWriter) FlushError() error { return w.flush() }

type hijackWriter struct{ Writer }

func (w *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
