// Edits of a text, as the server knows them: a list of {retain}, {insert} and {delete} that runs through all of the text,
// in UTF-16 code units, which are what lengths of strings are here.

const length = (o) => o.retain ?? o.delete ?? 0;

function retain(edit, n) {
  if (n === 0) return;
  const last = edit.at(-1);
  if (last?.retain) last.retain += n;
  else edit.push({ retain: n });
}

function remove(edit, n) {
  if (n === 0) return;
  const last = edit.at(-1);
  if (last?.delete) last.delete += n;
  else edit.push({ delete: n });
}

// An insertion is before a deletion at the same place, so that equal changes are equal edits.
function insert(edit, text) {
  if (text === "") return;
  const at = edit.at(-1)?.delete ? edit.length - 1 : edit.length;
  const before = edit[at - 1];
  if (before?.insert) before.insert += text;
  else edit.splice(at, 0, { insert: text });
}

/** Returns whether an edit changes anything. */
export const changes = (edit) => edit.some((o) => !o.retain);

/** Returns the text after an edit. */
export function apply(text, edit) {
  const before = edit.reduce((n, o) => n + length(o), 0);
  if (before !== text.length) throw new Error(`an edit of ${before} units, and a text of ${text.length}`);
  let after = "";
  let at = 0;
  for (const o of edit) {
    after += o.insert ?? (o.retain ? text.slice(at, at + o.retain) : "");
    at += length(o);
  }
  return after;
}

/** Returns the edit that undoes an edit of a text. */
export function invert(text, edit) {
  const inverse = [];
  let at = 0;
  for (const o of edit) {
    if (o.insert) remove(inverse, o.insert.length);
    else if (o.retain) retain(inverse, o.retain);
    else insert(inverse, text.slice(at, at + o.delete));
    at += length(o);
  }
  return inverse;
}

// Walk is how far one has come through an edit.
class Walk {
  #edit;
  #index = 0;
  #passed = 0;

  constructor(edit) {
    this.#edit = edit;
  }

  get next() {
    return this.#edit[this.#index];
  }

  /** Returns how many units are left of what is next, or none at the end. */
  get ahead() {
    const o = this.next;
    return o ? (o.insert?.length ?? length(o)) - this.#passed : 0;
  }

  /** Goes on by so many units and returns what they are: a string, or "retain" or "delete". */
  pass(n) {
    const o = this.next;
    const text = o.insert?.slice(this.#passed, this.#passed + n);
    this.#passed += n;
    if (this.ahead === 0) {
      this.#index++;
      this.#passed = 0;
    }
    return { insert: text, kind: o.insert ? "insert" : o.retain ? "retain" : "delete" };
  }
}

/** Returns two edits of one text as they are after the other, [a, b]. Where both insert, a is first. */
export function transform(a, b) {
  const [afterB, afterA] = [[], []];
  const [x, y] = [new Walk(a), new Walk(b)];
  for (;;) {
    if (x.next?.insert) {
      const { insert: text } = x.pass(x.ahead);
      insert(afterB, text);
      retain(afterA, text.length);
      continue;
    }
    if (y.next?.insert) {
      const { insert: text } = y.pass(y.ahead);
      retain(afterB, text.length);
      insert(afterA, text);
      continue;
    }
    const n = Math.min(x.ahead, y.ahead);
    if (n === 0) break;
    const [of, other] = [x.pass(n).kind, y.pass(n).kind];
    if (of === "retain" && other === "retain") {
      retain(afterB, n);
      retain(afterA, n);
    } else if (of === "delete" && other === "retain") remove(afterB, n);
    else if (of === "retain" && other === "delete") remove(afterA, n);
  }
  if (x.next || y.next) throw new Error("edits of texts of different lengths");
  return [afterB, afterA];
}

/** Returns one edit that does what an edit and then another do. */
export function compose(first, second) {
  const both = [];
  const [x, y] = [new Walk(first), new Walk(second)];
  for (;;) {
    if (x.next?.delete) {
      remove(both, x.ahead);
      x.pass(x.ahead);
      continue;
    }
    if (y.next?.insert) {
      insert(both, y.pass(y.ahead).insert);
      continue;
    }
    const n = Math.min(x.ahead, y.ahead);
    if (n === 0) break;
    const [of, then] = [x.pass(n), y.pass(n)];
    if (then.kind === "retain" && of.insert) insert(both, of.insert);
    else if (then.kind === "retain") retain(both, n);
    else if (!of.insert) remove(both, n);
  }
  if (x.next || y.next) throw new Error("an edit does not follow the other");
  return both;
}

/** Returns where a place in a text is after an edit. What is inserted there comes before it, unless it is to stay. */
export function moved(place, edit, stays = false) {
  let at = 0; // in the text before
  let now = place;
  for (const o of edit) {
    if (at > place) break;
    if (o.insert && (at < place || !stays)) now += o.insert.length;
    if (o.delete) now -= Math.min(o.delete, place - at);
    at += length(o);
  }
  return now;
}

const cuts = (text, at) => /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(at - 1, at + 1));

/** Returns the edit that makes one text the other, which differ in one place. No character is cut in half. */
export function difference(before, after) {
  let start = 0;
  const most = Math.min(before.length, after.length);
  while (start < most && before[start] === after[start]) start++;
  if (cuts(before, start) || cuts(after, start)) start--;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  if (cuts(before, before.length - end) || cuts(after, after.length - end)) end--;
  const edit = [];
  retain(edit, start);
  insert(edit, after.slice(start, after.length - end));
  remove(edit, before.length - end - start);
  retain(edit, end);
  return edit;
}
