// What every frame holds.

/** Returns a frame as the server expects it. A message that is sent again keeps its id. */
export function envelope(type, payload, { messageId = uuid(), traceparent } = {}) {
  return { type, timestamp: new Date().toISOString(), messageId, traceparent, payload };
}

/** Returns a random UUID. crypto.randomUUID exists in secure contexts only, and a demo is looked at by plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    "-",
  );
}
