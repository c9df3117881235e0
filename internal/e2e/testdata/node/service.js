// A chat service with ws. What it emits is what docs/foreign-services.md asks for.
//
// Arguments: the address of Loki's push API, and the number of messages after which it ends. It prints its own address.
// Everything of OpenTelemetry comes from the standard OTEL_* variables.
'use strict';

const http = require('node:http');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { SpanKind, SpanStatusCode, context, metrics, trace } = require('@opentelemetry/api');
const prometheus = require('prom-client');
const winston = require('winston');
const LokiTransport = require('winston-loki');
const { WebSocket, WebSocketServer } = require('ws');

const [loki, messages] = process.argv.slice(2);
const service = process.env.OTEL_SERVICE_NAME;

const sdk = new NodeSDK({ instrumentations: [] });
sdk.start();
const tracer = trace.getTracer('chat');
const handled = metrics.getMeter('chat').createCounter('chat.handled', { unit: '{message}' });

const namespace = 'chat';
const metric = (Kind, name, labelNames, more) => new Kind({ name, help: name, labelNames: ['namespace', ...labelNames], ...more });
const active = metric(prometheus.Gauge, 'websocket_active_connections', []);
const opened = metric(prometheus.Counter, 'websocket_connections_total', ['status']);
const closed = metric(prometheus.Counter, 'websocket_disconnections_total', ['initiator', 'reason']);
const counted = metric(prometheus.Counter, 'websocket_messages_total', ['type', 'direction']);
const took = metric(prometheus.Histogram, 'websocket_message_duration_seconds', ['type'], { buckets: [0.01, 0.1, 1] });
const errors = metric(prometheus.Counter, 'websocket_errors_total', ['kind']);
// Names that OpenTelemetry would not have chosen.
const heartbeats = new prometheus.Counter({ name: 'chat__heartbeats_sent', help: 'heartbeats' });

const withTrace = winston.format((info) => {
  const span = trace.getActiveSpan();
  if (span) Object.assign(info, { trace_id: span.spanContext().traceId, span_id: span.spanContext().spanId });
  return info;
});
const transport = new LokiTransport({
  host: loki, json: true, interval: 1, labels: { service_name: service, attempt: 0, debug: false }, format: winston.format.json(),
  onConnectionError: (error) => console.error('push to Loki:', error),
});
const logger = winston.createLogger({ level: 'silly', format: winston.format.combine(withTrace(), winston.format.json()), transports: [transport] });

// The words of the library for close codes.
const reasons = { 1000: 'normal', 1001: 'going_away', 1006: 'abnormal' };

const server = http.createServer(async (_, response) => {
  response.setHeader('Content-Type', prometheus.register.contentType);
  response.end(await prometheus.register.metrics());
});
new WebSocketServer({ server }).on('connection', (socket) => {
  opened.inc({ namespace, status: 'connected' });
  active.inc({ namespace });
  socket.on('close', (code) => {
    active.dec({ namespace });
    closed.inc({ namespace, initiator: code === 1006 ? 'network' : 'remote', reason: reasons[code] ?? 'other' });
  });
  socket.on('message', (data) => {
    const end = took.startTimer({ namespace, type: 'chat' });
    counted.inc({ namespace, type: 'chat', direction: 'receive' });
    const span = tracer.startSpan('websocket.message chat', { kind: SpanKind.CONSUMER });
    context.with(trace.setSpan(context.active(), span), () => {
      const { level, fails } = JSON.parse(data);
      if (fails) {
        errors.inc({ namespace, kind: 'handler' });
        span.setStatus({ code: SpanStatusCode.ERROR, message: 'as asked' });
      }
      logger.log(level, 'message handled', { room: 'lobby' });
      handled.add(1);
      heartbeats.inc();
      socket.send('{}', () => counted.inc({ namespace, type: 'chat', direction: 'transmit' }));
    });
    span.end();
    end();
  });
});

server.listen(0, '127.0.0.1', async () => {
  const address = `127.0.0.1:${server.address().port}`;
  const levels = Object.keys(winston.config.npm.levels);
  const [polite, rude] = [new WebSocket(`ws://${address}`), new WebSocket(`ws://${address}`)];
  await Promise.all([polite, rude].map((client) => new Promise((resolve) => client.once('open', resolve))));
  for (let i = 0; i < messages; i++) {
    const answered = new Promise((resolve) => polite.once('message', resolve));
    polite.send(JSON.stringify({ level: levels[i % levels.length], fails: i === 0 }));
    await answered;
  }
  polite.close(1000);
  rude.terminate();
  console.log(address);
});

process.on('SIGTERM', async () => {
  await new Promise((resolve) => transport.flush().then(resolve, resolve));
  await sdk.shutdown();
  process.exit(0);
});
