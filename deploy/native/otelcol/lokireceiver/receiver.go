package lokireceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
)

const pushPath = "/loki/api/v1/push"

// lokiReceiver serves the push API and hands what it receives to the next consumer.
type lokiReceiver struct {
	config   *Config
	settings receiver.Settings
	next     consumer.Logs
	report   *receiverhelper.ObsReport

	address net.Addr
	server  *http.Server
	serving sync.WaitGroup
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*lokiReceiver, error) {
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             set.ID,
		Transport:              "http",
		ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, fmt.Errorf("telemetry of the Loki receiver: %w", err)
	}
	return &lokiReceiver{config: cfg, settings: set, next: next, report: report}, nil
}

// Start listens and serves until Shutdown.
func (r *lokiReceiver) Start(ctx context.Context, host component.Host) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pushPath, r.push)

	// Snappy is left to the protobuf decoder: Loki's clients compress without saying so in Content-Encoding.
	asItIs := confighttp.WithDecoder("snappy", func(body io.ReadCloser) (io.ReadCloser, error) { return body, nil })
	settings := r.config.Protocols.HTTP.Get()
	server, err := settings.ToServer(ctx, host.GetExtensions(), r.settings.TelemetrySettings, mux, asItIs)
	if err != nil {
		return fmt.Errorf("set up the Loki push endpoint: %w", err)
	}
	listener, err := settings.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("listen for Loki pushes on %s: %w", settings.NetAddr.Endpoint, err)
	}
	r.server, r.address = server, listener.Addr()
	r.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(fmt.Errorf("serve Loki pushes: %w", err)))
		}
	})
	return nil
}

// Shutdown stops listening and waits for pushes in progress until ctx is done; then it cuts them off.
func (r *lokiReceiver) Shutdown(ctx context.Context) error {
	if r.server == nil {
		return nil
	}
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("pushes were still in progress: %w", err), r.server.Close())
	}
	r.serving.Wait()
	return err
}
