package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func isRefused(err error) bool {
	var refusal interface{ Refused() bool }
	return errors.As(err, &refusal) && refusal.Refused()
}

func TestRefusedByGRPC(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{context.DeadlineExceeded, false},
		{status.Error(codes.Unavailable, "away"), false},
		{fmt.Errorf("export: %w", status.Error(codes.ResourceExhausted, "full")), false},
		{status.Error(codes.InvalidArgument, "bad"), true},
		{status.Error(codes.Unimplemented, "not here"), true},
		{errors.New("partly rejected"), true},
	} {
		if got := refusedByGRPC(tt.err); isRefused(got) != tt.want || tt.err != nil && !errors.Is(got, tt.err) {
			t.Errorf("refusedByGRPC(%v) = %v, want refused %t", tt.err, got, tt.want)
		}
	}
}

func TestRefusedByHTTP(t *testing.T) {
	for status, want := range map[int]bool{
		0:                                false, // no answer
		http.StatusTooManyRequests:       false,
		http.StatusBadGateway:            false,
		http.StatusServiceUnavailable:    false,
		http.StatusGatewayTimeout:        false,
		http.StatusOK:                    true, // partly rejected
		http.StatusBadRequest:            true,
		http.StatusNotFound:              true,
		http.StatusRequestEntityTooLarge: true,
		http.StatusInternalServerError:   true,
	} {
		got := refusedByHTTP(t.Context(), func(ctx context.Context) error {
			*ctx.Value(statusKey{}).(*int) = status
			return errAway
		})
		if isRefused(got) != want || !errors.Is(got, errAway) {
			t.Errorf("status %d: %v, want refused %t", status, got, want)
		}
	}
	if err := refusedByHTTP(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}
