package wsconn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// An Answer is the http.ResponseWriter with which a library upgrades a request. It remembers the status, and hands out a
// Conn when the library hijacks the connection.
type Answer struct {
	http.ResponseWriter
	status int
	conn   *Conn
	early  []byte // received together with the request
	gone   error  // the peer was gone before it could be answered
}

// NewAnswer returns an Answer by w.
func NewAnswer(w http.ResponseWriter) *Answer { return &Answer{ResponseWriter: w} }

// Writer returns the ResponseWriter for the library. It can be hijacked if the one underneath can.
func (a *Answer) Writer() http.ResponseWriter {
	gin, isGin := a.ResponseWriter.(headerNower)
	switch {
	case !hijacks(a.ResponseWriter):
		return a
	case isGin:
		return ginAnswer{hijackAnswer{a}, gin}
	default:
		return hijackAnswer{a}
	}
}

// Gin's writer sends nothing before WriteHeaderNow, a method that Unwrap does not bring to light.
type headerNower interface{ WriteHeaderNow() }

type hijackAnswer struct{ *Answer }

// Hijack implements http.Hijacker.
func (h hijackAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.hijack() }

type ginAnswer struct {
	hijackAnswer
	headerNower
}

// hijacks says whether http.ResponseController will find an http.Hijacker.
func hijacks(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.gone != nil {
		return
	}
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(p []byte) (int, error) {
	if a.gone != nil {
		return 0, a.gone
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is how http.ResponseController finds what the Answer does not have.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *Answer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := a.flush(); err != nil {
		a.gone = err
		return nil, nil, err
	}
	transport, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.conn = New(transport)
	if a.early, err = rw.Peek(rw.Reader.Buffered()); err != nil {
		return nil, nil, errors.Join(err, transport.Close())
	}
	a.early = slices.Clone(a.early)
	// Both read and write the transport itself so far. What is buffered stays so: libraries look at it.
	rw.Reader.Reset(io.MultiReader(bytes.NewReader(a.early), a.conn))
	if _, err = rw.Peek(len(a.early)); err != nil {
		return nil, nil, errors.Join(err, transport.Close())
	}
	rw.Writer.Reset(a.conn)
	return a.conn, rw, nil
}

// flush sends a header that was written before the connection is hijacked. Hijack would send it, too, but not tell that
// it could not. It asks net/http's own ResponseWriter, since what wraps it may take a flush for the begin of a body.
func (a *Answer) flush() error {
	if a.status != http.StatusSwitchingProtocols {
		return nil
	}
	w := a.ResponseWriter
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	if flusher, ok := w.(interface{ FlushError() error }); ok {
		return flusher.FlushError()
	}
	return nil
}

// Begin begins to observe the connection that the library has hijacked and upgraded.
func (a *Answer) Begin(config Config) *Conn {
	a.conn.BeginBehind(config, a.early)
	return a.conn
}

// Refuse ends a handshake that the library has refused with an error. The status is the one that it has given to an
// error handler of its own, or 0.
func (a *Answer) Refuse(h *instrument.Handshake, o *instrument.Observer, status int, err error) {
	if status == 0 && (a.conn == nil || a.status != http.StatusSwitchingProtocols) {
		status = a.status
	}
	switch {
	case a.gone != nil, a.conn != nil && status == 0:
		h.Refused(instrument.StatusBadHandshake, 0, err)
	case status == 0, status == http.StatusSwitchingProtocols: // it was written, but the connection could not be hijacked
		h.Refused(instrument.StatusError, http.StatusInternalServerError, err)
	default:
		h.Refused(handshake.Status(o, status), status, err)
	}
}
