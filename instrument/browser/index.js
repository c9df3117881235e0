export { Client, Permanent } from "./client.js";
export { Sequence } from "./sequence.js";
export { parseTraceparent, Tracer } from "./tracing.js";
