package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

const (
	// maxRecords is how many records one upload may have.
	maxRecords = 10_000
	// maxAttributes and maxValueBytes bound the fields of a record.
	maxAttributes = 16
	maxValueBytes = 1 << 10
)

// attributeName is what the name of a field may be.
var attributeName = regexp.MustCompile(`^[a-z0-9_.]{1,64}$`)

// upload is a client's log records on their way.
type upload struct {
	server *Server
	rpc    chatv1.ChatService_UploadLogsServer
	counts chatv1.UploadLogsResponse
}

// UploadLogs implements the service. A goroutine of its own reads, because only the handler can end the stream, and it
// can't while it waits for the client.
func (s *Server) UploadLogs(rpc chatv1.ChatService_UploadLogsServer) error {
	ctx := rpc.Context()
	draining := make(chan struct{})
	grpcstream.Observed(ctx).OnDrain(func() { close(draining) })
	expired := time.NewTimer(time.Until(caller(ctx).Expires))
	defer expired.Stop()
	u := &upload{server: s, rpc: rpc}
	read := make(chan error, 1)
	go func() { read <- u.read(grpcstream.Observed(ctx).Context(ctx)) }()
	select {
	case err := <-read:
		if err != nil {
			return err
		}
		return rpc.SendAndClose(&u.counts)
	case <-expired.C:
		return ended(instrument.ReasonTokenExpired, "the token has expired")
	case <-draining:
		return ended(instrument.ReasonShutdown, "the server restarts: send the last records again")
	}
}

// read reads records until the client has sent all.
func (u *upload) read(ctx context.Context) error {
	for n := 0; ; n++ {
		record, err := u.rpc.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == maxRecords:
			return failure(codes.ResourceExhausted, "too_many_records",
				fmt.Sprintf("one upload has at most %d records: send the rest by another", maxRecords))
		}
		if allow(ctx) && u.server.log(ctx, record) {
			u.counts.Written++
		} else {
			u.counts.Dropped++
		}
	}
}

// log writes a record, unless it is malformed. Whatever the client calls it, it is no warning or failure of this
// service: its level is info, and the client's is a field.
func (s *Server) log(ctx context.Context, r *chatv1.UploadLogsRequest) bool {
	if wire.CheckText(r.GetText()) != nil || len(r.GetAttributes()) > maxAttributes {
		return false
	}
	fields := make([]any, 0, len(r.GetAttributes()))
	for _, name := range slices.Sorted(maps.Keys(r.GetAttributes())) {
		value := r.GetAttributes()[name]
		if !attributeName.MatchString(name) || len(value) > maxValueBytes {
			return false
		}
		fields = append(fields, slog.String(name, printable(value)))
	}
	severity, _ := strings.CutPrefix(r.GetSeverity().String(), "SEVERITY_")
	if _, known := chatv1.Severity_name[int32(r.GetSeverity())]; !known {
		return false
	}
	record := []any{
		slog.String("user", caller(ctx).User), slog.String("severity", strings.ToLower(severity)),
		slog.String("text", printable(r.GetText())),
	}
	if at := r.GetTime(); at.IsValid() {
		record = append(record, slog.Time("client_time", at.AsTime()))
	}
	if len(fields) > 0 {
		record = append(record, slog.Group("attributes", fields...))
	}
	s.cfg.Logger.InfoContext(ctx, "log record uploaded", record...)
	return true
}

// printable returns the text without what would do something to a terminal or to the lines around it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}
