// A chat on WebSockets that is observed without the library for Go: what one client says, all get. It listens on PORT and
// prints its address. What it exports is in telemetry.js.
'use strict';

const { randomUUID } = require('node:crypto');
const http = require('node:http');
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, propagation, trace } = require('@opentelemetry/api');
const { WebSocketServer } = require('ws');
const { logger, metrics, namespace, page, shutdown, tracer } = require('./telemetry');

const limit = Number(process.env.CONNECTION_LIMIT ?? 10_000);
const pingInterval = Number(process.env.PING_INTERVAL_MS ?? 30_000);
const maxWaiting = 1 << 20; // bytes that may wait for a client before it counts as too slow
metrics.limit.set({ namespace }, limit);

// The contract's words for close codes. Codes of the application's own are other.
const reasons = {
  1000: 'normal', 1001: 'going_away', 1002: 'protocol_error', 1003: 'protocol_error', 1005: 'normal', 1006: 'abnormal',
  1007: 'protocol_error', 1008: 'policy', 1009: 'message_too_big', 1011: 'internal', 1012: 'restart', 1013: 'try_again_later',
};
const types = ['chat']; // every other type is counted as other
const connections = new Set();

class Connection {
  id = randomUUID();
  opened = performance.now();
  totals = { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
  cause; // set by whoever ends the connection on this side, or sees it end

  constructor(socket, handshake) {
    Object.assign(this, { socket, handshake });
    connections.add(this);
    metrics.active.inc({ namespace });
    this.log('info', 'connection opened');
    socket.on('message', (data) => this.receive(data));
    socket.on('pong', () => this.pong());
    socket.on('error', (error) => this.failed('read', error));
    socket.on('close', (code) => this.closed(code));
  }

  log(level, message, fields = {}) {
    context.with(trace.setSpan(ROOT_CONTEXT, trace.getActiveSpan() ?? this.handshake), () =>
      logger.log(level, message, { connection_id: this.id, ...fields }));
  }

  failed(kind, error) {
    metrics.errors.inc({ namespace, kind });
    this.log('warn', 'connection error', { kind, error: error.message });
  }

  // Each message has a short span of its own. The sender's context is a link: a stranger must not decide what is sampled.
  receive(data) {
    const began = performance.now();
    let message = {}, broken;
    try { message = JSON.parse(data) ?? {}; } catch (error) { broken = error; }
    const type = types.includes(message.type) ? message.type : 'other';
    const number = ++this.totals.received;
    this.totals.receivedBytes += data.length;
    metrics.messages.inc({ namespace, direction: 'receive', type });
    metrics.newest.setToCurrentTime({ namespace, direction: 'receive' });
    const links = [this.handshake, trace.getSpan(propagation.extract(ROOT_CONTEXT, message))]
      .filter(Boolean).map((span) => ({ context: span.spanContext() }));
    const span = tracer.startSpan(`websocket.message ${type}`, { kind: SpanKind.CONSUMER, links, attributes: {
      'connection.id': this.id, 'websocket.message.type': type, 'websocket.message.size': data.length, 'websocket.message.number': number,
    } }, ROOT_CONTEXT);
    context.with(trace.setSpan(ROOT_CONTEXT, span), () => {
      try {
        if (broken) throw broken;
        say(type, message);
        this.log('debug', 'message handled', { type });
      } catch (error) {
        const kind = broken ? 'decode' : 'handler';
        metrics.errors.inc({ namespace, kind });
        span.setAttribute('error.type', error.name).setStatus({ code: SpanStatusCode.ERROR, message: error.message });
        this.log('warn', 'message failed', {
          type, kind, error: error.message, size: data.length, duration_seconds: (performance.now() - began) / 1e3,
        });
      }
    });
    span.end();
    const { traceId: trace_id, spanId: span_id } = span.spanContext();
    metrics.handling.observe({ labels: { namespace, type }, value: (performance.now() - began) / 1e3, exemplarLabels: { trace_id, span_id } });
  }

  send(type, text) {
    if (this.socket.bufferedAmount > maxWaiting) {
      metrics.dropped.inc({ namespace, reason: 'slow_consumer' });
      this.end('local', 'slow_consumer', 1008);
      return;
    }
    const handed = performance.now();
    this.socket.send(text, (error) => {
      if (error) return metrics.dropped.inc({ namespace, reason: 'closed' });
      this.totals.sent++;
      this.totals.sentBytes += text.length;
      metrics.messages.inc({ namespace, direction: 'transmit', type });
      metrics.newest.setToCurrentTime({ namespace, direction: 'transmit' });
      metrics.delivery.observe({ namespace }, (performance.now() - handed) / 1e3);
    });
  }

  ping() {
    if (this.pinged) { // the last one was not answered
      metrics.pings.inc({ namespace, result: 'timeout' });
      this.failed('timeout', new Error('ping not answered'));
      this.cause = { initiator: 'network', reason: 'ping_timeout' };
      return this.socket.terminate();
    }
    this.pinged = performance.now();
    this.socket.ping();
  }

  pong() {
    if (!this.pinged) return;
    metrics.pings.inc({ namespace, result: 'pong' });
    metrics.rtt.observe({ namespace }, (performance.now() - this.pinged) / 1e3);
    this.pinged = undefined;
    this.log('silly', 'pong received');
  }

  end(initiator, reason, code) {
    this.cause ??= { initiator, reason };
    this.socket.close(code);
  }

  closed(code) {
    connections.delete(this);
    const { initiator, reason } = this.cause ?? { initiator: code === 1006 ? 'network' : 'remote', reason: reasons[code] ?? 'other' };
    const duration = (performance.now() - this.opened) / 1e3;
    const { received, receivedBytes, sent, sentBytes } = this.totals;
    metrics.active.dec({ namespace });
    metrics.closed.inc({ namespace, initiator, reason });
    const span = tracer.startSpan('websocket.close', { links: [{ context: this.handshake.spanContext() }], attributes: {
      'connection.id': this.id, 'websocket.close.code': code, 'websocket.close.reason': reason, 'websocket.close.initiator': initiator,
      'websocket.duration': duration, 'websocket.received.messages': received, 'websocket.received.bytes': receivedBytes,
      'websocket.sent.messages': sent, 'websocket.sent.bytes': sentBytes,
    } }, ROOT_CONTEXT);
    context.with(trace.setSpan(ROOT_CONTEXT, span), () => this.log('info', 'connection closed', {
      code, initiator, reason, duration_seconds: duration,
      received_messages: received, received_bytes: receivedBytes, sent_messages: sent, sent_bytes: sentBytes,
    }));
    span.end();
  }
}

// say is what the service is for: what one says, all get.
function say(type, { text }) {
  if (typeof text !== 'string' || text === '') throw new TypeError('a message has a text');
  const frame = JSON.stringify({ type, text });
  for (const connection of connections) connection.send(type, frame);
}

const server = http.createServer(async (request, response) => {
  logger.http('request', { path: request.url });
  if (request.url !== '/metrics') return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': page.contentType }).end(await page.metrics());
});

// A handshake has a span that ends with it: no span lasts as long as a connection.
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 10 });
sockets.on('wsClientError', (_error, _stream, request) => request.refuse('bad_handshake', 400));
let draining = false;
server.on('upgrade', (request, stream, head) => {
  const began = performance.now();
  const path = request.url.split('?')[0];
  const span = tracer.startSpan('websocket.handshake', { kind: SpanKind.SERVER, attributes: {
    'http.request.method': request.method, 'url.path': path, 'network.protocol.name': 'websocket', 'websocket.namespace': namespace,
    'server.address': server.address().address, 'server.port': server.address().port,
  } }, propagation.extract(ROOT_CONTEXT, request.headers));
  const done = (status, code) => {
    metrics.opened.inc({ namespace, status });
    metrics.handshake.observe({ namespace, status }, (performance.now() - began) / 1e3);
    span.setAttribute('http.response.status_code', code);
    if (code !== 101) {
      span.setAttribute('error.type', status);
      context.with(trace.setSpan(ROOT_CONTEXT, span), () => logger.info('handshake refused', { status, http_status: code }));
    }
    span.end();
  };
  const refuse = request.refuse = (status, code) => {
    stream.end(`HTTP/1.1 ${code} ${http.STATUS_CODES[code]}\r\nConnection: close\r\n\r\n`);
    done(status, code);
  };
  stream.on('error', () => {}); // the peer is gone; ws says so where there is a connection
  if (path !== '/ws') return refuse('bad_handshake', 404);
  if (draining) return refuse('draining', 503);
  if (connections.size >= limit) return refuse('over_capacity', 503);
  sockets.handleUpgrade(request, stream, head, (socket) => {
    const connection = new Connection(socket, span);
    span.setAttribute('connection.id', connection.id);
    done('connected', 101);
  });
});
setInterval(() => connections.forEach((connection) => connection.ping()), pingInterval).unref();

server.listen(Number(process.env.PORT ?? 9464), '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));

process.once('SIGTERM', async () => {
  draining = true;
  metrics.draining.set({ namespace }, 1);
  server.close();
  const closed = [...connections].map((connection) => new Promise((resolve) => connection.socket.once('close', resolve)));
  connections.forEach((connection) => connection.end('local', 'shutdown', 1001));
  await Promise.race([Promise.all(closed), new Promise((resolve) => setTimeout(resolve, 5_000))]);
  connections.forEach((connection) => connection.socket.terminate());
  await shutdown();
  process.exit(0);
});
