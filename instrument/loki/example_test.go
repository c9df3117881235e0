package loki_test

import (
	"context"
	"fmt"

	"github.com/sockscope/sockscope/instrument/loki"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

// A service has its log records pushed to Loki, and its spans exported by OTLP.
func Example() {
	logs, err := loki.New("http://127.0.0.1:3100/loki/api/v1/push")
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	tel, err := telemetry.Start(ctx, telemetry.WithServiceName("chat"), telemetry.WithLogExporter(logs))
	if err != nil {
		panic(err)
	}
	fmt.Println(tel.Shutdown(ctx))
	// Output: <nil>
}
