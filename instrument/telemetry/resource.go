package telemetry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// newResource describes this service. Later sources win, so the environment overrides the others.
func newResource(ctx context.Context, c config, env *environment) *resource.Resource {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // the process id then distinguishes instances
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

// value returns the attribute's value as text, or "" if r doesn't have it.
func value(r *resource.Resource, key attribute.Key) string {
	v, _ := r.Set().Value(key)
	return v.String()
}
