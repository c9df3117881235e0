package lokireceiver

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
)

const (
	mediaTypeJSON     = "application/json"
	mediaTypeProtobuf = "application/x-protobuf"
)

// push answers one request: 204 when the records were taken over by the pipeline, 400, 413, 415 or 422 when sending the
// same again can't help, 503 when it can.
func (r *lokiReceiver) push(w http.ResponseWriter, req *http.Request) {
	format, logs, err := r.read(req)
	if err != nil {
		r.refuse(w, statusOf(err), err)
		return
	}
	if logs.LogRecordCount() == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	ctx := r.report.StartLogsOp(req.Context())
	count := logs.LogRecordCount() // The next consumer owns the logs, and may change them.
	err = r.next.ConsumeLogs(ctx, logs)
	r.report.EndLogsOp(ctx, format, count, err)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case consumererror.IsPermanent(err):
		r.refuse(w, http.StatusBadRequest, err)
	default:
		r.refuse(w, http.StatusServiceUnavailable, err)
	}
}

// read decodes the request's body, whose size confighttp bounds before and after decompression.
func (r *lokiReceiver) read(req *http.Request) (format string, logs plog.Logs, err error) {
	mediaType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || (mediaType != mediaTypeJSON && mediaType != mediaTypeProtobuf) {
		return "", plog.Logs{}, errUnsupported
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return "", plog.Logs{}, fmt.Errorf("read the body: %w", err)
	}
	out := newTranslation(time.Now(), r.config.UseIncomingTimestamp)
	if mediaType == mediaTypeJSON {
		return "json", out.logs, decodeJSON(body, out)
	}
	limit := r.config.Protocols.HTTP.Get().MaxRequestBodySize // confighttp has put its default there
	return "protobuf", out.logs, decodeProtobuf(body, limit, out)
}

var (
	errUnsupported = errors.New("unsupported media type: send Content-Type " + mediaTypeProtobuf + " or " + mediaTypeJSON)
	errTooLarge    = errors.New("push is too large: send smaller batches")
	errNoStreams   = errors.New("push has no streams")
)

func statusOf(err error) int {
	var body *http.MaxBytesError
	switch {
	case errors.Is(err, errUnsupported):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, errNoStreams):
		return http.StatusUnprocessableEntity // as Loki says
	case errors.Is(err, errTooLarge), errors.As(err, &body):
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusBadRequest
	}
}

// refuse tells the client why. The log has the status only, since the reason may quote what the client sent.
func (r *lokiReceiver) refuse(w http.ResponseWriter, status int, err error) {
	r.settings.Logger.Debug("Loki push refused", zap.Int("status", status))
	http.Error(w, err.Error(), status)
}
