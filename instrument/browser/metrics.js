// Numbers, under the names that every Sockscope client has. Labels are from closed sets, so there are few.

export class Metrics {
  #prefix;
  #labels;
  #samples = new Map(); // by name and labels

  constructor(prefix, labels) {
    this.#prefix = prefix;
    this.#labels = labels;
  }

  add(name, labels, by = 1) {
    this.#sample(name, labels).value += by;
  }

  set(name, labels, value) {
    this.#sample(name, labels).value = value;
  }

  /** Adds a duration to the sum and the count of a histogram, which has no buckets: a page sees few values. */
  observe(name, labels, milliseconds) {
    this.add(`${name}_sum`, labels, Math.max(0, milliseconds) / 1_000);
    this.add(`${name}_count`, labels);
  }

  read() {
    return structuredClone([...this.#samples.values()]);
  }

  #sample(name, labels) {
    const key = name + JSON.stringify(labels);
    if (!this.#samples.has(key))
      this.#samples.set(key, { name: this.#prefix + name, labels: { ...this.#labels, ...labels }, value: 0 });
    return this.#samples.get(key);
  }
}
