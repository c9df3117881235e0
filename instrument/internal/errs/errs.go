// Package errs puts errors into spans and log records.
package errs

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"
)

// sentinels are the errors that are recognized by their value, because their type says nothing.
func sentinels() map[error]string {
	return map[error]string{
		context.Canceled:         "context.Canceled",
		context.DeadlineExceeded: "context.DeadlineExceeded",
		io.EOF:                   "io.EOF",
		io.ErrUnexpectedEOF:      "io.ErrUnexpectedEOF",
		io.ErrClosedPipe:         "io.ErrClosedPipe",
		net.ErrClosed:            "net.ErrClosed",
		os.ErrDeadlineExceeded:   "os.ErrDeadlineExceeded",
	}
}

// Type returns the value of error.type for err. It skips errors that only add text. The first other error has a method
// ErrorType, is a sentinel of the standard library, or is named by its type.
func Type(err error) string {
	names := sentinels()
	for {
		if named, ok := err.(interface{ ErrorType() string }); ok {
			return Bounded(named.ErrorType())
		}
		// By the value: a type that can be compared may hold one that can't, and panic as a key.
		if reflect.ValueOf(err).Comparable() && names[err] != "" {
			return names[err]
		}
		typeName := reflect.TypeOf(err).String()
		if !addsText(typeName) {
			return typeName
		}
		next := unwrap(err)
		if next == nil {
			return typeName
		}
		err = next
	}
}

// addsText reports the types of errors that say nothing beyond what they wrap.
func addsText(typeName string) bool {
	switch typeName {
	case "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError":
		return true
	default:
		return false
	}
}

// unwrap returns the error that err wraps, the first of several.
func unwrap(err error) error {
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case interface{ Unwrap() error }:
		return e.Unwrap()
	case interface{ Unwrap() []error }:
		if all := e.Unwrap(); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

const maxTextBytes = 256

// Bounded cuts a text that a peer may have chosen.
func Bounded(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxTextBytes+utf8.UTFMax)], "")
	if len(s) <= maxTextBytes {
		return s
	}
	cut := maxTextBytes
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Text returns the text of an error for spans and log records, "" for nil. It is cut, because a peer may have chosen
// it.
func Text(err error) string {
	if err == nil {
		return ""
	}
	return Bounded(fmt.Sprint(err)) // Sprint survives the Error method of a nil pointer
}
