import assert from "node:assert/strict";
import { test } from "node:test";

import { Sequence } from "../index.js";

for (const [name, last, observed, want] of [
  ["in order", 0, [[1], [2], [3]], ["in_order", "in_order", "in_order"]],
  ["begins anywhere", 0, [[17], [18]], ["in_order", "in_order"]],
  ["a gap, and what was missing comes late", 0, [[1], [4], [3], [2], [3]], ["in_order", "gap 2", "out_of_order", "out_of_order", "duplicate"]],
  ["goes back", 0, [[5], [4], [5]], ["in_order", "duplicate", "duplicate"]],
  ["ranges", 0, [[1, 3], [4, 6], [6, 8], [10, 12], [5, 9]], ["in_order", "in_order", "in_order", "gap 1", "out_of_order"]],
  ["an empty range", 0, [[1, 3], [4, 3], [6, 5], [6]], ["in_order", "in_order", "gap 2", "in_order"]],
  ["no numbers", 0, [[], [0, 0], [1], []], ["in_order", "in_order", "in_order", "in_order"]],
  ["after a snapshot", 5, [[4], [5], [6], [5]], ["superseded", "superseded", "in_order", "superseded"]],
  ["a gap after a snapshot", 5, [[7]], ["gap 1"]],
  ["the highest number", 0, [[Number.MAX_SAFE_INTEGER]], ["in_order"]],
  ["makes no sense", 1,
    [[-1], [2, -1], [5, 3], [0, 3], [1.5], [NaN], [Infinity], ["2"], [null], [{}], [2n], [Number.MAX_SAFE_INTEGER + 1], [{ valueOf: 1, toString: 1 }], [2]],
    [...Array(13).fill("invalid"), "in_order"]],
]) {
  test(`sequence: ${name}`, () => {
    const sequence = new Sequence(last);
    const got = observed.map((numbers) => {
      const { verdict, missing } = sequence.observe(...numbers);
      return missing > 0 ? `${verdict} ${missing}` : verdict;
    });
    assert.deepEqual(got, want);
  });
}

test("sequence: a snapshot's number makes sense", () => {
  for (const last of [-1, 0.5, NaN, "7", null, {}, 2 ** 60]) assert.throws(() => new Sequence(last), RangeError, String(last));
});

// Whatever comes, each number is news once: it is in order, part of a gap that is counted, or late.
test("sequence: random numbers add up", () => {
  for (let round = 0; round < 200; round++) {
    const sequence = new Sequence();
    const seen = new Set();
    let missing = 0;
    let late = 0;
    const first = 1 + Math.floor(Math.random() * 5);
    sequence.observe(first);
    seen.add(first);
    for (let i = 0; i < 50; i++) {
      const n = first + Math.floor(Math.random() * 40);
      const { verdict, missing: more } = sequence.observe(n);
      assert.equal(verdict === "duplicate", seen.has(n), `${n} is ${verdict}`);
      if (verdict === "out_of_order") late++;
      missing += more;
      seen.add(n);
    }
    assert.equal(missing - late, sequence.last - first + 1 - seen.size);
  }
});
