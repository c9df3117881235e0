package telemetry

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Values of OTEL_TRACES_EXPORTER and OTEL_LOGS_EXPORTER.
const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
	exporterNone    = "none"
)

// Values of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// Signals, as in the names of variables.
const (
	signalTraces = "TRACES"
	signalLogs   = "LOGS"
)

// Defaults and bounds of batches.
const (
	maxBatch  = 512         // spans or log records in one export
	batchWait = time.Second // for others to send together
	maxCount  = 1 << 20     // of what a variable may have wait: more would be memory that a program may not have
)

// environment reads OpenTelemetry's variables. As their specification says, a variable with a value that is not
// understood counts as not set, with a warning. A variable is read only if it applies.
type environment struct {
	warnings []error
}

// lookup returns the value of the first variable that is set and that parse understands, or fallback if there is none.
func lookup[T any](env *environment, fallback T, parse func(value string) (T, error), names ...string) T {
	for _, name := range names {
		value := strings.TrimSpace(os.Getenv(name))
		if value == "" {
			continue
		}
		v, err := parse(value)
		if err == nil {
			return v
		}
		env.warnings = append(env.warnings, fmt.Errorf("%s %w", name, err))
	}
	return fallback
}

// boolean reports whether the first variable that is set is true. Every other value counts as false, as the
// specification says.
func (env *environment) boolean(names ...string) bool {
	for _, name := range names {
		switch value := strings.TrimSpace(os.Getenv(name)); strings.ToLower(value) {
		case "":
		case "true":
			return true
		case "false":
			return false
		default:
			env.warnings = append(env.warnings, fmt.Errorf("%s is %q, which is taken as false: it may be true or false", name, value))
			return false
		}
	}
	return false
}

// exporters returns the exporters of a signal: none, or one or both of OTLP and the console.
func (env *environment) exporters(signal, fallback string) []string {
	return lookup(env, []string{fallback}, parseExporters, "OTEL_"+signal+"_EXPORTER")
}

// otlp returns how a signal is exported by OTLP.
func (env *environment) otlp(signal string) otlp {
	names := func(setting string) []string {
		return []string{"OTEL_EXPORTER_OTLP_" + signal + "_" + setting, "OTEL_EXPORTER_OTLP_" + setting}
	}
	o := otlp{
		protocol: lookup(env, protocolGRPC, parseProtocol, names("PROTOCOL")...),
		gzip:     lookup(env, false, parseCompression, names("COMPRESSION")...),
		timeout:  lookup(env, defaultTimeout, parseTimeout, names("TIMEOUT")...),
	}
	if o.protocol == protocolHTTP {
		endpoint := lookup(env, nil, parseURL, names("ENDPOINT")[0])
		if endpoint == nil { // the signal's path is appended to the general one
			base := lookup(env, &url.URL{Scheme: "http", Host: "127.0.0.1:4318"}, parseURL, names("ENDPOINT")[1])
			endpoint = base.JoinPath("v1", strings.ToLower(signal))
		}
		o.endpoint, o.insecure = endpoint.String(), endpoint.Scheme == "http"
	} else {
		target := lookup(env, grpcTarget{"127.0.0.1:4317", "http"}, parseTarget, names("ENDPOINT")...)
		o.endpoint, o.insecure = target.address, target.scheme == "http"
		if target.scheme == "" {
			o.insecure = strings.HasPrefix(target.address, "unix:") || env.boolean(names("INSECURE")...)
		}
	}
	if !o.insecure {
		o.tls = &tls.Config{
			RootCAs:      lookup(env, nil, parseCertificates, names("CERTIFICATE")...),
			Certificates: lookup(env, nil, parseKeyPair(names("CLIENT_KEY")[0]), names("CLIENT_CERTIFICATE")[0]),
		}
		if o.tls.Certificates == nil {
			o.tls.Certificates = lookup(env, nil, parseKeyPair(names("CLIENT_KEY")[1]), names("CLIENT_CERTIFICATE")[1])
		}
	}
	return o
}

// batching says how spans or log records are batched.
type batching struct {
	queue, batch int           // the largest number that wait, and in one batch
	wait         time.Duration // how long they wait for others to send together
	giveUp       time.Duration // how long a batch is tried
}

// batching returns the settings of a batch processor: BSP for spans, BLRP for log records.
func (env *environment) batching(processor string, queue int) batching {
	prefix := "OTEL_" + processor + "_"
	b := batching{
		queue:  lookup(env, queue, parseCount, prefix+"MAX_QUEUE_SIZE"),
		batch:  lookup(env, maxBatch, parseCount, prefix+"MAX_EXPORT_BATCH_SIZE"),
		wait:   lookup(env, batchWait, parseDuration, prefix+"SCHEDULE_DELAY"),
		giveUp: lookup(env, defaultGiveUp, parseTimeout, prefix+"EXPORT_TIMEOUT"),
	}
	b.batch = min(b.batch, b.queue)
	b.wait = max(b.wait, time.Millisecond) // with a wait of 0, the SDK's processor would never rest
	return b
}

func parseExporters(value string) (exporters []string, err error) {
	for item := range strings.SplitSeq(strings.ToLower(value), ",") {
		switch item = strings.TrimSpace(item); item {
		case exporterOTLP, exporterConsole:
			exporters = append(exporters, item)
		case exporterNone:
		default:
			return nil, fmt.Errorf("is %q: it may be otlp, console, both with a comma, or none", value)
		}
	}
	return exporters, nil
}

func parseProtocol(value string) (string, error) {
	switch strings.ToLower(value) {
	case protocolGRPC:
		return protocolGRPC, nil
	case protocolHTTP, "http/json": // a receiver of JSON also accepts protobuf
		return protocolHTTP, nil
	default:
		return "", fmt.Errorf("is %q: it may be grpc or http/protobuf", value)
	}
}

func parseCompression(value string) (gzip bool, err error) {
	switch strings.ToLower(value) {
	case "gzip":
		return true, nil
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("is %q: it may be gzip or none", value)
	}
}

// parseTimeout parses milliseconds. 0 means no limit, for which it returns the longest duration.
func parseTimeout(value string) (time.Duration, error) {
	d, err := parseDuration(value)
	if d == 0 {
		d = math.MaxInt32 * time.Millisecond
	}
	return d, err
}

func parseDuration(value string) (time.Duration, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("is %q: it may be a number of milliseconds", value)
	}
	return time.Duration(n) * time.Millisecond, nil
}

func parseCount(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 || n > maxCount {
		return 0, fmt.Errorf("is %q: it may be 1 to %d", value, maxCount)
	}
	return n, nil
}

// parseURL parses an endpoint for HTTP. Its error does not contain the value, which may have a password.
func parseURL(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("is not a URL such as http://127.0.0.1:4318")
	}
	u.Path = cmp.Or(u.Path, "/")
	return u, nil
}

// grpcTarget is an endpoint for gRPC. Its scheme is empty unless it is http or https.
type grpcTarget struct{ address, scheme string }

// parseTarget parses an endpoint for gRPC: a URL, or anything else that gRPC can connect to.
func parseTarget(value string) (grpcTarget, error) {
	if u, err := url.Parse(value); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		if u.Host == "" {
			return grpcTarget{}, errors.New("is not a URL such as http://127.0.0.1:4317")
		}
		return grpcTarget{u.Host, u.Scheme}, nil
	}
	conn, err := grpc.NewClient(value, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return grpcTarget{}, errors.New("is not a URL such as http://127.0.0.1:4317, nor an address such as 127.0.0.1:4317")
	}
	return grpcTarget{address: value}, conn.Close()
}

func parseCertificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("names a file that can't be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("names the file %s: there is no PEM certificate in it", file)
	}
	return pool, nil
}

func parseKeyPair(keyName string) func(file string) ([]tls.Certificate, error) {
	return func(file string) ([]tls.Certificate, error) {
		key := strings.TrimSpace(os.Getenv(keyName))
		if key == "" {
			return nil, fmt.Errorf("needs %s beside it", keyName)
		}
		pair, err := tls.LoadX509KeyPair(file, key)
		if err != nil {
			return nil, fmt.Errorf("and %s name no key pair: %w", keyName, err)
		}
		return []tls.Certificate{pair}, nil
	}
}
