// Gaps, repetitions and late events, as the Sequence of the Go package client finds them.

const REMEMBERED_GAPS = 16;

export class Sequence {
  last = 0; // the highest number observed, or 0 before the first
  #begun = false;
  #floor = 0; // a snapshot contains everything up to here
  #gaps = []; // [first, last], oldest first

  /** A sequence after a snapshot contains everything up to last. After a snapshot without a number it begins with any. */
  constructor(last = 0) {
    if (!Number.isSafeInteger(last) || last < 0) throw new RangeError("a snapshot whose number makes no sense");
    this.#begun = last !== 0;
    this.last = this.#floor = last;
  }

  /** Returns the verdict on an event's numbers and, for a gap, how many are missing. */
  observe(first = 0, last = 0) {
    if (first === 0 && last === 0) return { verdict: "in_order", missing: 0 };
    const before = this.last;
    const verdict = this.#judge(first, last === 0 ? first : last);
    return { verdict, missing: verdict === "gap" ? first - before - 1 : 0 };
  }

  #judge(first, last) {
    // Numbers above the safe integers are not exact: two of them may look equal.
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || first < 1 || last < first - 1) return "invalid";
    const empty = first > last; // it says that nothing has happened since last
    if (this.#begun) {
      if (empty && last === this.last) return "in_order";
      if (last <= this.#floor) return "superseded";
      if (last <= this.last) return !empty && this.#fill(first, last) ? "out_of_order" : "duplicate";
    }
    const gap = this.#begun && first > this.last + 1;
    if (gap) this.#remember(this.last + 1, first - 1);
    else this.#fill(first, last);
    this.#begun = true;
    this.last = last;
    return gap ? "gap" : "in_order";
  }

  #remember(first, last) {
    const newest = this.#gaps.at(-1);
    if (newest && newest[1] + 1 === first) newest[1] = last;
    else this.#gaps.push([first, last]);
    if (this.#gaps.length > REMEMBERED_GAPS) this.#gaps.shift();
  }

  // Removes the numbers of a late event from the gaps and says whether any was missing.
  #fill(first, last) {
    const gaps = this.#gaps;
    this.#gaps = [];
    let late = false;
    for (const [from, to] of gaps) {
      if (last < from || to < first) this.#remember(from, to);
      else {
        late = true;
        if (from < first) this.#remember(from, first - 1);
        if (last < to) this.#remember(last + 1, to);
      }
    }
    return late;
  }
}
