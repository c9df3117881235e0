"""What the service exports, as docs/contract.yaml has it: metrics at /metrics, traces and log records by OTLP over HTTP.

The Collector's address comes from OTEL_EXPORTER_OTLP_ENDPOINT, the service's name from OTEL_SERVICE_NAME. Debian has no
OpenTelemetry SDK for Python. Where you have it, use it instead of Span, Handler and Exporter.
"""
import contextvars, json, logging, os, queue, secrets, sys, threading, time, urllib.request

os.environ.setdefault('PROMETHEUS_DISABLE_CREATED_SERIES', 'true')  # before the import
from prometheus_client import REGISTRY, Counter, Gauge, Histogram  # noqa: E402
from prometheus_client.exposition import choose_encoder  # noqa: E402, F401

SERVICE = os.environ.get('OTEL_SERVICE_NAME', 'python-chat')
ENDPOINT = os.environ.get('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318').rstrip('/')
NAMESPACE = 'chat'  # the endpoint: a service may have several
TRACE = 5  # a level below logging.DEBUG
SEVERITY = {TRACE: 1, logging.DEBUG: 5, logging.INFO: 9, logging.WARNING: 13, logging.ERROR: 17, logging.CRITICAL: 21}
SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]


def metric(kind, name, text, *labels, **more):
    """Returns a function that picks a series by the values of its labels."""
    family = kind(f'websocket_{name}', text, ['namespace', *labels], **more)
    return lambda *values: family.labels(NAMESPACE, *values)


active = metric(Gauge, 'active_connections', 'Connections open now.')
limit = metric(Gauge, 'connection_limit', 'Connections that the endpoint is made for.')
draining = metric(Gauge, 'draining', '1 while the endpoint is shutting down gracefully.')
opened = metric(Counter, 'connections_total', 'Handshakes, by how they ended.', 'status')
closed = metric(Counter, 'disconnections_total', 'Closed connections, by who closed them and why.', 'initiator', 'reason')
errors = metric(Counter, 'errors_total', 'Errors, by what failed.', 'kind')
messages = metric(Counter, 'messages_total', 'Whole messages.', 'direction', 'type')
dropped = metric(Counter, 'messages_dropped_total', 'Outbound messages that were not written.', 'reason')
pings = metric(Counter, 'pings_total', 'Pings sent, by what became of them.', 'result')
newest = metric(Gauge, 'last_message_timestamp_seconds', 'Time of the newest message of any connection.', 'direction')
handshake = metric(Histogram, 'handshake_duration_seconds', 'Time from the upgrade request to its answer.', 'status', buckets=SECONDS)
handling = metric(Histogram, 'message_duration_seconds', 'Handling time of received messages.', 'type', buckets=SECONDS)
delivery = metric(Histogram, 'delivery_duration_seconds', 'Time from handing over a message to writing it.', buckets=SECONDS)
rtt = metric(Histogram, 'ping_rtt_seconds', 'Time from ping to pong.', buckets=SECONDS)

# A counter that appears with a value has not grown, so those that alerts watch begin at 0.
for family, rows in {
    active: [()], draining: [()], opened: [(s,) for s in ('connected', 'over_capacity', 'bad_handshake', 'draining', 'error')],
    errors: [(k,) for k in ('decode', 'handler', 'read', 'write', 'timeout')],
    dropped: [('slow_consumer',), ('closed',)], pings: [('pong',), ('timeout',)],
    closed: [('network', r) for r in ('abnormal', 'ping_timeout', 'write_error')],
}.items():
    for row in rows:
        family(*row)

current = contextvars.ContextVar('current span', default=None)  # log records belong to it


class Span:
    """A span that ends with its block, and fails with it."""

    def __init__(self, name, kind, attributes, parent=None, links=()):
        self.trace_id, parent_id = parent or (secrets.token_hex(16), '')
        self.span_id, self.attributes = secrets.token_hex(8), attributes
        self.otlp = {
            'name': name, 'kind': kind, 'traceId': self.trace_id, 'spanId': self.span_id, 'parentSpanId': parent_id, 'flags': 1,
            'links': [{'traceId': trace, 'spanId': span} for trace, span in links], 'startTimeUnixNano': str(time.time_ns()),
        }

    @property
    def context(self):
        return self.trace_id, self.span_id

    def fail(self, error):
        self.attributes['error.type'] = type(error).__name__
        self.otlp['status'] = {'code': 2, 'message': str(error)}

    def __enter__(self):
        self.token = current.set(self)
        return self

    def __exit__(self, _, error, trace):
        if error:
            self.fail(error)
        current.reset(self.token)
        exporter.add('traces', self.otlp | {'attributes': otlp(self.attributes), 'endTimeUnixNano': str(time.time_ns())})


def context_of(traceparent):
    """Returns the trace id and span id of a W3C traceparent, None if it is none."""
    parts = traceparent.split('-') if isinstance(traceparent, str) else []
    hexadecimal = all(set(part) <= set('0123456789abcdef') for part in parts)
    return tuple(parts[1:3]) if hexadecimal and [len(part) for part in parts[:3]] == [2, 32, 16] else None


def otlp(attributes):
    kinds = {bool: 'boolValue', int: 'intValue', float: 'doubleValue', str: 'stringValue'}
    return [{'key': k, 'value': {kinds[type(v)]: str(v) if type(v) is int else v}} for k, v in attributes.items()]


class Handler(logging.Handler):
    """Exports a record with the members of its extra "fields", and the current span's context."""

    def emit(self, record):
        span = getattr(record, 'span', None) or current.get()
        exporter.add('logs', {
            'timeUnixNano': str(int(record.created * 1e9)), 'severityNumber': SEVERITY.get(record.levelno, 9),
            'severityText': record.levelname, 'body': {'stringValue': record.getMessage()},
            'attributes': otlp({'namespace': NAMESPACE, **getattr(record, 'fields', {})}),
            **({'traceId': span.trace_id, 'spanId': span.span_id} if span else {}),
        })


class Exporter(threading.Thread):
    """Sends what is queued every second. What finds no place in the queue is dropped: telemetry never holds up the service."""

    def __init__(self):
        super().__init__(daemon=True)
        self.queue, self.closing = queue.Queue(10_000), threading.Event()

    def add(self, signal, item):
        try:
            self.queue.put_nowait((signal, item))
        except queue.Full:
            pass

    def run(self):
        while not self.closing.wait(1) or not self.queue.empty():
            batch = {'traces': [], 'logs': []}
            while not self.queue.empty():
                signal, item = self.queue.get()
                batch[signal].append(item)
            self.send('traces', 'resourceSpans', 'scopeSpans', 'spans', batch['traces'])
            self.send('logs', 'resourceLogs', 'scopeLogs', 'logRecords', batch['logs'])

    def send(self, signal, resources, scopes, name, items):
        resource = {'attributes': otlp({'service.name': SERVICE, 'process.pid': os.getpid()})}
        for at in range(0, len(items), 512):
            body = {resources: [{'resource': resource, scopes: [{'scope': {'name': SERVICE}, name: items[at:at + 512]}]}]}
            request = urllib.request.Request(f'{ENDPOINT}/v1/{signal}', json.dumps(body).encode(), {'Content-Type': 'application/json'})
            for pause in (1, 2, None):
                try:
                    urllib.request.urlopen(request, timeout=5).close()
                    break
                except OSError as error:
                    if pause is None or self.closing.is_set():
                        print(f'{len(items)} {signal} are lost: {error}', file=sys.stderr)
                        return
                    time.sleep(pause)

    def close(self):
        self.closing.set()
        self.join(10)


exporter = Exporter()
exporter.start()
logging.addLevelName(TRACE, 'TRACE')
logger = logging.getLogger('chat')
logger.setLevel(TRACE)
logger.addHandler(Handler())
