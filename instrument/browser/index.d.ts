// Types of the module. docs/browser.md of the repository says how to use it. All times are in milliseconds.

/** How far a stream can be trusted. Act on it only while it is live. The worst comes first. */
export type State = "closed" | "waiting" | "connecting" | "reconciling" | "stale" | "live";

/** Client connects, and reconnects until it is closed. It emits the events of ClientEventMap. */
export class Client extends EventTarget {
  /** The address may be relative to the page. A function is asked before each attempt, because tokens expire. */
  constructor(url: Endpoint | (() => Endpoint | Promise<Endpoint>), feed: Feed, options?: Options);
  /** The worst state of the streams. */
  readonly state: State;
  streamState(name: string): State;
  /** The highest number received on a stream, or 0 before the first, to resume after. */
  lastNumber(stream: string): number;
  run(): void;
  /** Ends the connection and the client, which can run again. */
  close(): void;
  /** Replaces the connection, after the usual wait. */
  reconnect(): void;
  /** Connects at once if the client waits to. */
  retry(): void;
  /** Makes the next wait begin after a time, at most 10 minutes, because the server asks for it. */
  postpone(milliseconds: number): void;
  /** Begins the span of a message to send, which the caller ends. Put its traceparent into the payload. */
  begin(type: string): Span | undefined;
  /** Sends a message. Returns its number on the connection, or 0 if there is none or 1 MiB waits in the browser. */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob, span?: Span): number;
  /** Notes the answer to a ping of the heartbeat. */
  ponged(id?: unknown): void;
  /** Makes a live stream fetch a snapshot and start from it. */
  reconcile(stream: string): void;
  /** The metrics of the client. Histograms have a sum and a count. */
  metrics(): Sample[];
  addEventListener<K extends keyof ClientEventMap>(type: K, listener: (event: ClientEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

export interface ClientEventMap {
  /** A stream, or without a name the client as a whole, has changed its state. */
  state: CustomEvent<Change>;
  /** A round trip of the heartbeat. */
  rtt: CustomEvent<number>;
  /** A function of the feed has failed, or a message was not understood. */
  failed: CustomEvent<{ kind: "decode" | "handler"; error: unknown }>;
}

export interface Change {
  stream?: string;
  from: State;
  to: State;
  /** Why there is no connection. */
  cause?: Cause;
  error?: unknown;
  /** When the client tries again, as Date.now(). */
  retryAt?: number;
}

export interface Cause {
  initiator: "local" | "remote" | "network";
  reason: string;
  /** The close code, or 0. */
  code: number;
  /** What the server or the client says about it. */
  text: string;
}

/** An address, with the subprotocols of a WebSocket, or an event stream's event types and whether it sends cookies. */
export type Endpoint = string | { url: string; protocols?: string[]; types?: string[]; credentials?: boolean };

export interface Options {
  /** The label client of the metrics. */
  name?: string;
  /** A WebSocket (the default) or an event stream. */
  transport?: "websocket" | "sse";
  /** The ceilings of the first wait and of the longest: 250 and 30,000. */
  backoff?: { shortest?: number; longest?: number };
  /** ping sends a ping and returns its id. Pings follow pongs by the interval (10,000), pongs must come within the timeout (5,000). */
  heartbeat?: { ping: () => unknown; interval?: number; timeout?: number };
  /** How many events of a stream are held back while it is reconciled: 4,096. */
  buffer?: number;
  tracer?: Tracer;
}

export interface Feed {
  streams?: Stream[];
  /** Subscribes after each connect. Messages are decoded meanwhile. */
  subscribe?: () => void | Promise<unknown>;
  /** Returns the events of a message. If it throws, the message is left out. */
  decode(message: Message): Iterable<Event> | undefined;
  /** Handles one event. If it throws, a stream with a snapshot is reconciled. */
  handle(event: Event & Received): void;
}

export interface Stream {
  /** A value of the label stream. All events of other names are of the stream "other". */
  name: string;
  /** The longest time without anything new. After that the stream is stale, and the connection is replaced. */
  expect?: number;
  /** Keeps the connection of a stale stream. */
  tolerate?: boolean;
  /** Continues the numbers over connections, for a server that replays what was missed. */
  resume?: boolean;
  /** Fetches the state of the stream. */
  snapshot?: (signal: AbortSignal) => Promise<Snapshot>;
  /** Replaces the page's state by a snapshot's value. Returns whether it was different. */
  restore?: (value: any) => boolean | void;
}

export interface Snapshot {
  /** The number of the newest event in it, or 0 without numbers. */
  last?: number;
  /** The numbers have restarted, so last may be lower than before. */
  restart?: boolean;
  value: any;
}

export interface Message {
  data: any;
  /** The type of an event of an event stream. */
  type: string;
  lastEventId: string;
}

export interface Event {
  stream?: string;
  /** The number of the event, or with last a range. */
  first?: number;
  last?: number;
  /** The numbers restart with this event. */
  restart?: boolean;
  /** When it happened, by the server's clock. */
  time?: number;
  /** The trace context that the message carries. */
  traceparent?: string;
  value?: any;
}

export interface Received {
  /** When it was received, by the clock of this machine. */
  received: number;
  /** Together they identify the message among the spans of the server. */
  messageNumber: number;
  handshakeTraceId?: string;
}

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** An error that ends the client, because to try again is useless. */
export class Permanent extends Error {}

/** Tracer makes spans and exports them by OTLP over HTTP. Clients can share it. */
export class Tracer {
  constructor(options: {
    /** The name of the page's service in traces. */
    service: string;
    /** Such as https://collector.example.org/v1/traces. Without it nothing is exported. */
    endpoint?: string;
    /** The share of messages that get a span: 0.01. */
    sampleRatio?: number;
    /** More attributes of the resource. */
    resource?: Record<string, string | number | boolean>;
  });
  readonly exports: boolean;
  begin(name: string, options?: SpanOptions): Span;
  sample(): boolean;
  /** How many spans were exported, refused and dropped. */
  metrics(): Sample[];
  /** Exports what waits, as long as that succeeds, and then no more. */
  shutdown(): Promise<void>;
}

export interface SpanOptions {
  kind?: "internal" | "client" | "producer" | "consumer";
  attributes?: Record<string, unknown>;
  links?: (SpanContext | undefined)[];
  sampled?: boolean;
}

export interface SpanContext {
  traceId: string;
  spanId: string;
}

export interface Span extends SpanContext {
  readonly traceparent: string;
  set(attributes: Record<string, unknown>): void;
  link(context?: SpanContext): void;
  end(error?: unknown): void;
}

/** Returns the context in a traceparent, or nothing if it is malformed. */
export function parseTraceparent(text: unknown): SpanContext | undefined;

/** Sequence finds gaps, duplicates and late events. */
export class Sequence {
  constructor(last?: number);
  readonly last: number;
  observe(first?: number, last?: number): { verdict: Verdict; missing: number };
}

export type Verdict = "in_order" | "gap" | "duplicate" | "out_of_order" | "superseded" | "invalid";
