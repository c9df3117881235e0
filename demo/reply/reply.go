// Package reply answers requests over HTTP: in JSON, or in a line of text.
package reply

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// JSON answers with the status and the body as JSON, which is not to be kept by caches.
func JSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, fmt.Sprintf("encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // an error means that the caller is gone
}

// Refuse answers with the status and {"error": reason}.
func Refuse(w http.ResponseWriter, status int, reason string) {
	JSON(w, status, map[string]string{"error": reason})
}

// Text answers with the status and a line of plain text, which is not to be kept by caches.
func Text(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // an error means that the caller is gone
}
