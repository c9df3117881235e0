package inbox

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// ErrTooLarge tells that a request body is longer than its receiver takes.
var ErrTooLarge = errors.New("the body is too large")

// ReadBody returns a request's body, of which a receiver takes at most limit bytes. With ErrTooLarge comes what was
// read of it.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return body, fmt.Errorf("%w: %d bytes are the limit", ErrTooLarge, limit)
	}
	if err != nil {
		return body, fmt.Errorf("read the body: %w", err)
	}
	return body, nil
}

// ContentType returns a request's media type without parameters, empty if it has none that can be read.
func ContentType(r *http.Request) string {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}
