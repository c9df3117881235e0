// What the service exports, as docs/contract.yaml has it: metrics at /metrics, traces by OTLP over gRPC, log records by
// Loki's push API. Addresses come from OTEL_EXPORTER_OTLP_ENDPOINT and LOKI_URL, the service's name from OTEL_SERVICE_NAME.
'use strict';

process.env.OTEL_EXPORTER_OTLP_PROTOCOL ??= 'grpc';
process.env.OTEL_METRICS_EXPORTER ??= 'none'; // they are scraped
process.env.OTEL_LOGS_EXPORTER ??= 'none';

const { trace } = require('@opentelemetry/api');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const prometheus = require('prom-client');
const winston = require('winston');
const LokiTransport = require('winston-loki');

const service = process.env.OTEL_SERVICE_NAME ?? 'node-chat';
const namespace = 'chat'; // the endpoint: a service may have several

const sdk = new NodeSDK({ serviceName: service, instrumentations: [] });
sdk.start();
const tracer = trace.getTracer('node-chat');

prometheus.register.setContentType(prometheus.Registry.OPENMETRICS_CONTENT_TYPE);
prometheus.collectDefaultMetrics();
const metric = (Kind, name, help, labels = [], more = {}) =>
  new Kind({ name: `websocket_${name}`, help, labelNames: ['namespace', ...labels], ...more });
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const metrics = {
  active: metric(prometheus.Gauge, 'active_connections', 'Connections open now.'),
  limit: metric(prometheus.Gauge, 'connection_limit', 'Connections that the endpoint is made for.'),
  draining: metric(prometheus.Gauge, 'draining', '1 while the endpoint is shutting down gracefully.'),
  opened: metric(prometheus.Counter, 'connections_total', 'Handshakes, by how they ended.', ['status']),
  closed: metric(prometheus.Counter, 'disconnections_total', 'Closed connections, by who closed them and why.', ['initiator', 'reason']),
  errors: metric(prometheus.Counter, 'errors_total', 'Errors, by what failed.', ['kind']),
  messages: metric(prometheus.Counter, 'messages_total', 'Whole messages.', ['direction', 'type']),
  dropped: metric(prometheus.Counter, 'messages_dropped_total', 'Outbound messages that were not written.', ['reason']),
  pings: metric(prometheus.Counter, 'pings_total', 'Pings sent, by what became of them.', ['result']),
  newest: metric(prometheus.Gauge, 'last_message_timestamp_seconds', 'Time of the newest message of any connection.', ['direction']),
  handshake: metric(prometheus.Histogram, 'handshake_duration_seconds', 'Time from the upgrade request to its answer.', ['status'], { buckets: seconds }),
  handling: metric(prometheus.Histogram, 'message_duration_seconds', 'Handling time of received messages.', ['type'], { buckets: seconds, enableExemplars: true }),
  delivery: metric(prometheus.Histogram, 'delivery_duration_seconds', 'Time from handing over a message to writing it.', [], { buckets: seconds }),
  rtt: metric(prometheus.Histogram, 'ping_rtt_seconds', 'Time from ping to pong.', [], { buckets: seconds }),
};
metrics.draining.set({ namespace }, 0);
metrics.active.set({ namespace }, 0);
// A counter that appears with a value has not grown, so those that alerts watch begin at 0.
for (const status of ['connected', 'over_capacity', 'bad_handshake', 'draining', 'error']) metrics.opened.inc({ namespace, status }, 0);
for (const kind of ['decode', 'handler', 'read', 'write', 'timeout']) metrics.errors.inc({ namespace, kind }, 0);
for (const reason of ['slow_consumer', 'closed']) metrics.dropped.inc({ namespace, reason }, 0);
for (const result of ['pong', 'timeout']) metrics.pings.inc({ namespace, result }, 0);
for (const reason of ['abnormal', 'ping_timeout', 'write_error']) metrics.closed.inc({ namespace, initiator: 'network', reason }, 0);

const withTrace = winston.format((info) => {
  const span = trace.getActiveSpan()?.spanContext();
  return span ? Object.assign(info, { trace_id: span.traceId, span_id: span.spanId }) : info;
});
const loki = new LokiTransport({
  host: process.env.LOKI_URL ?? 'http://127.0.0.1:3500', json: true, interval: 1, labels: { service_name: service },
  gracefulShutdown: false, // it would end the process with 143 before shutdown has delivered the spans
  format: winston.format.json(), onConnectionError: (error) => console.error('push to Loki:', error),
});
const logger = winston.createLogger({
  level: 'silly', format: winston.format.combine(withTrace(), winston.format.json()), defaultMeta: { namespace }, transports: [loki],
});

// Everything that is queued is delivered.
async function shutdown() {
  await loki.flush().catch((error) => console.error('push to Loki:', error));
  await sdk.shutdown();
}

module.exports = { logger, metrics, namespace, page: prometheus.register, shutdown, tracer };
