// A WebSocket or an event stream of the browser, both seen in the same way.

/** How a connection ended, in the words of the metrics. */
export function cause(initiator, reason, code = 0, text = "") {
  return { initiator, reason, code, text };
}

const REASONS = {
  1000: "normal",
  1001: "going_away",
  1002: "protocol_error",
  1003: "protocol_error",
  1005: "normal", // a close frame without a code
  1006: "abnormal",
  1007: "protocol_error",
  1008: "policy",
  1009: "message_too_big",
  1010: "protocol_error",
  1011: "internal",
  1012: "restart",
  1013: "try_again_later",
  1014: "internal",
};

/**
 * Opens a WebSocket and calls on.open(), on.message(data, event) and on.close(cause). It returns send, close and
 * buffered, the number of bytes that the browser has not sent yet.
 */
export function openSocket(url, { protocols = [] }, on) {
  const ws = new WebSocket(url, protocols);
  ws.binaryType = "arraybuffer";
  ws.onopen = () => on.open();
  ws.onmessage = (event) => on.message(event.data, event);
  ws.onclose = ({ code, reason }) =>
    on.close(cause(code === 1006 ? "network" : "remote", REASONS[code] ?? "other", code, reason));
  ws.onerror = () => {
    if (ws.readyState === WebSocket.CONNECTING) on.close(cause("network", "abnormal", 1006)); // Node 20 says no more
  };
  return {
    send: (data) => ws.send(data),
    buffered: () => (ws.readyState === WebSocket.OPEN ? ws.bufferedAmount : Infinity), // the close frame may be here already
    close() {
      ws.onopen = ws.onmessage = ws.onclose = ws.onerror = null;
      ws.close(1000); // 1000 is the only code of the protocol's own that a page may send
    },
  };
}

/**
 * Opens an event stream in the same way. The browser would reconnect by itself, all pages after the same time, so the
 * stream is closed at its first error. An orderly end, a break and a refusal look the same.
 */
export function openEvents(url, { types = ["message"], credentials = false }, on) {
  const events = new EventSource(url, { withCredentials: credentials });
  const sent = (event) => typeof event.data === "string"; // by the server, whose types can be "open" and "error", too
  events.onopen = (event) => sent(event) || on.open();
  for (const type of types)
    events.addEventListener(type, (event) => sent(event) && on.message(event.data, event));
  const close = () => {
    events.onopen = events.onerror = null;
    events.close();
  };
  events.onerror = (event) => {
    if (sent(event)) return;
    close();
    on.close(cause("network", "abnormal"));
  };
  return { buffered: () => Infinity, close }; // there is no way to the server
}
