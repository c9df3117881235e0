package telemetry_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

// A service starts its telemetry first, gives it to what it observes, and shuts it down last.
func Example() {
	if err := os.Setenv("OTEL_SDK_DISABLED", "true"); err != nil { // there is no Collector beside this example
		panic(err)
	}
	tel, err := telemetry.Start(context.Background(), telemetry.WithServiceName("chat"))
	if err != nil {
		panic(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := tel.Shutdown(ctx); err != nil {
			fmt.Println(err)
		}
	}()

	if _, err := tel.NewObserver(instrument.WithNamespace("rooms")); err != nil {
		panic(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.MetricsHandler())
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "websocket_active_connections") {
			fmt.Println(lines.Text())
		}
	}
	// Output: websocket_active_connections{namespace="rooms"} 0
}
