"""A chat on WebSockets that is observed without the library for Go: what one client says, all get.

It listens on PORT and prints its address. What it exports is in telemetry.py.
"""
import asyncio, json, logging, os, signal, time, uuid
from http import HTTPStatus

import websockets

import telemetry as t
from telemetry import Span

LIMIT = int(os.environ.get('CONNECTION_LIMIT', 10_000))
PING_INTERVAL = int(os.environ.get('PING_INTERVAL_MS', 30_000)) / 1e3
MAX_WAITING = 256  # messages that may wait for a client before it counts as too slow
SERVER, CONSUMER, INTERNAL = 2, 5, 1  # kinds of spans
# The contract's words for close codes. Codes of the application's own are other.
REASONS = {
    1000: 'normal', 1001: 'going_away', 1002: 'protocol_error', 1003: 'protocol_error', 1005: 'normal', 1006: 'abnormal',
    1007: 'protocol_error', 1008: 'policy', 1009: 'message_too_big', 1011: 'internal', 1012: 'restart', 1013: 'try_again_later',
}
TYPES = {'chat'}  # every other type is counted as other
connections = set()
is_draining = False
t.limit().set(LIMIT)


class Connection(websockets.WebSocketServerProtocol):
    """A connection, from its handshake on. It has a span for the handshake, for each message and for the close, none for its life."""

    status, code = 'error', 500  # of the handshake
    cause = None  # set by whoever ends the connection on this side

    def log(self, level, message, span=None, **fields):
        t.logger.log(level, message, extra={'span': span, 'fields': {'connection_id': self.name, **fields}})

    async def handshake(self, *args, **kwargs):
        began, self.name = time.monotonic(), str(uuid.uuid4())
        self.span = Span('websocket.handshake', SERVER, {
            'http.request.method': 'GET', 'network.protocol.name': 'websocket', 'websocket.namespace': t.NAMESPACE,
            'server.address': self.host, 'server.port': self.port,
        })
        try:
            path = await super().handshake(*args, **kwargs)
            self.status, self.code = 'connected', 101
            return path
        except websockets.InvalidHandshake:
            if self.status == 'error':
                self.status, self.code = 'bad_handshake', 400
            raise
        finally:
            if self.status != 'page':
                self.answered(time.monotonic() - began)

    def answered(self, seconds):
        t.opened(self.status).inc()
        t.handshake(self.status).observe(seconds)
        with self.span as span:
            span.attributes |= {'connection.id': self.name, 'http.response.status_code': self.code}
            if self.code != 101:
                span.attributes['error.type'] = self.status
                t.logger.info('handshake refused', extra={'fields': {'status': self.status, 'http_status': self.code}})

    async def process_request(self, path, headers):
        path = path.split('?')[0]
        if path == '/metrics':
            self.status = 'page'
            encode, content_type = t.choose_encoder(headers.get('Accept', ''))
            return HTTPStatus.OK, [('Content-Type', content_type)], encode(t.REGISTRY)
        self.span.attributes['url.path'] = path
        if parent := t.context_of(headers.get('traceparent')):
            self.span.trace_id = self.span.otlp['traceId'] = parent[0]
            self.span.otlp['parentSpanId'] = parent[1]
        for refused, status, code in (
            (path != '/ws', 'bad_handshake', 404), (is_draining, 'draining', 503), (len(connections) >= LIMIT, 'over_capacity', 503),
        ):
            if refused:
                self.status, self.code = status, code
                return HTTPStatus(code), [], b''

    async def live(self):
        self.began, self.waiting = time.monotonic(), asyncio.Queue(MAX_WAITING)
        self.received, self.received_bytes, self.sent, self.sent_bytes = 0, 0, 0, 0
        connections.add(self)
        t.active().inc()
        self.log(logging.INFO, 'connection opened', self.span)
        tasks = [asyncio.create_task(task) for task in (self.write(), self.ping_often())]
        try:
            async for data in self:
                self.receive(data)
        except websockets.ConnectionClosedError as error:
            if self.cause is None:
                t.errors('read').inc()
                self.log(logging.WARNING, 'connection error', self.span, kind='read', error=str(error))
        finally:
            connections.discard(self)
            for task in tasks:
                task.cancel()
            await self.wait_closed()
            self.ended()

    def receive(self, data):
        """Each message has a short span of its own. The sender's context is a link: a stranger must not decide what is sampled."""
        began, message, broken = time.monotonic(), {}, None
        try:
            message = json.loads(data)
            if not isinstance(message, dict):
                raise ValueError('a message is an object')
        except ValueError as error:
            message, broken = {}, error
        kind = message.get('type') if message.get('type') in TYPES else 'other'
        self.received, self.received_bytes = self.received + 1, self.received_bytes + len(data)
        t.messages('receive', kind).inc()
        t.newest('receive').set_to_current_time()
        links = filter(None, (self.span.context, t.context_of(message.get('traceparent'))))
        with Span(f'websocket.message {kind}', CONSUMER, {
            'connection.id': self.name, 'websocket.message.type': kind, 'websocket.message.size': len(data),
            'websocket.message.number': self.received,
        }, links=links) as span:
            try:
                if broken:
                    raise broken
                say(kind, message)
                self.log(logging.DEBUG, 'message handled', type=kind)
            except Exception as error:
                span.fail(error)
                failed = 'decode' if broken else 'handler'
                t.errors(failed).inc()
                self.log(logging.WARNING, 'message failed', type=kind, kind=failed, error=str(error), size=len(data),
                         duration_seconds=time.monotonic() - began)
        t.handling(kind).observe(time.monotonic() - began, {'trace_id': span.trace_id, 'span_id': span.span_id})

    def hand_over(self, kind, text):
        try:
            self.waiting.put_nowait((time.monotonic(), kind, text))
        except asyncio.QueueFull:
            t.dropped('slow_consumer').inc()
            self.end('slow_consumer', 1008)

    async def write(self):
        while True:
            handed, kind, text = await self.waiting.get()
            try:
                await self.send(text)
            except websockets.ConnectionClosed:
                t.dropped('closed').inc()
                return
            self.sent, self.sent_bytes = self.sent + 1, self.sent_bytes + len(text)
            t.messages('transmit', kind).inc()
            t.newest('transmit').set_to_current_time()
            t.delivery().observe(time.monotonic() - handed)

    async def ping_often(self):
        while True:
            await asyncio.sleep(PING_INTERVAL)
            pinged = time.monotonic()
            try:
                await asyncio.wait_for(await self.ping(), PING_INTERVAL)
            except websockets.ConnectionClosed:
                return
            except asyncio.TimeoutError:
                t.pings('timeout').inc()
                t.errors('timeout').inc()
                self.log(logging.WARNING, 'connection error', self.span, kind='timeout', error='ping not answered')
                self.cause = 'network', 'ping_timeout'
                return self.transport.abort()
            t.pings('pong').inc()
            t.rtt().observe(time.monotonic() - pinged)
            self.log(t.TRACE, 'pong received', self.span)

    def end(self, reason, code):
        if self.cause is None:
            self.cause = 'local', reason
            self.closing = asyncio.create_task(self.close(code))  # it must not be forgotten before it is done

    def ended(self):
        code = self.close_code
        initiator, reason = self.cause or ('network' if code == 1006 else 'remote', REASONS.get(code, 'other'))
        if self.cause is None and self.close_sent and not self.close_rcvd_then_sent:
            initiator = 'local'  # the library has closed, as on a message that is too big
            reason = REASONS.get(self.close_sent.code, 'other')
        t.active().dec()
        t.closed(initiator, reason).inc()
        duration = time.monotonic() - self.began
        totals = dict(received=(self.received, self.received_bytes), sent=(self.sent, self.sent_bytes))
        with Span('websocket.close', INTERNAL, {
            'connection.id': self.name, 'websocket.close.code': code, 'websocket.close.reason': reason,
            'websocket.close.initiator': initiator, 'websocket.duration': duration,
            **{f'websocket.{way}.{unit}': n for way, row in totals.items() for unit, n in zip(('messages', 'bytes'), row)},
        }, links=[self.span.context]):
            self.log(logging.INFO, 'connection closed', code=code, initiator=initiator, reason=reason, duration_seconds=duration,
                     **{f'{way}_{unit}': n for way, row in totals.items() for unit, n in zip(('messages', 'bytes'), row)})


def say(kind, message):
    """What the service is for: what one says, all get."""
    text = message.get('text')
    if not isinstance(text, str) or not text:
        raise TypeError('a message has a text')
    frame = json.dumps({'type': kind, 'text': text})
    for connection in list(connections):
        connection.hand_over(kind, frame)


async def main():
    global is_draining
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await websockets.serve(
        Connection.live, '127.0.0.1', int(os.environ.get('PORT', 9465)), create_protocol=Connection, max_size=64 << 10,
        ping_interval=None, close_timeout=5,
    )
    print('%s:%d' % server.sockets[0].getsockname()[:2], flush=True)
    await stop.wait()
    is_draining = True
    t.draining().set(1)
    for connection in list(connections):
        connection.end('shutdown', 1001)
    server.close()
    await server.wait_closed()
    t.exporter.close()


asyncio.run(main())
