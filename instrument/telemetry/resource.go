package telemetry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// newResource tells who this service is. Later sources win, so the environment has the last word.
func newResource(ctx context.Context, c config, env *environment) *resource.Resource {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // an instance is told apart by its process id then
	}
	name := c.serviceName
	if name == "" {
		name = "unknown_service:" + filepath.Base(os.Args[0])
	}
	attrs := []attribute.KeyValue{
		attribute.String("service.name", name),
		attribute.String("service.instance.id", fmt.Sprintf("%s:%d", host, os.Getpid())),
	}
	if c.serviceVersion != "" {
		attrs = append(attrs, attribute.String("service.version", c.serviceVersion))
	}
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attrs...), resource.WithFromEnv())
	if err != nil {
		env.warnings = append(env.warnings, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES has parts that are not key=value: %w", err))
	}
	return res
}

// value is the attribute's value as text, empty where r has none.
func value(r *resource.Resource, key attribute.Key) string {
	v, _ := r.Set().Value(key)
	return v.String()
}
