// What every frame holds, and the trace context (W3C) that the page gives its own.

/** Returns a frame as the server expects it. A message that is sent again keeps its id. */
export function envelope(type, payload, messageId = uuid()) {
  const env = { type, timestamp: new Date().toISOString(), messageId, traceparent: traceparent() };
  if (payload) env.payload = payload;
  return env;
}

/** Returns a random UUID. crypto.randomUUID exists in secure contexts only, and a demo is looked at by plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = hex(bytes);
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    "-",
  );
}

/** Returns the trace id of a traceparent, empty if there is none. */
export function traceOf(traceparent) {
  return /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(traceparent ?? "")?.[1] ?? "";
}

// A trace of its own for every frame, marked as sampled.
function traceparent() {
  return `00-${random(16)}-${random(8)}-01`;
}

// An id of zeros alone means none.
function random(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return bytes.every((b) => b === 0) ? random(length) : hex(bytes);
}

function hex(bytes) {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
