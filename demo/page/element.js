// Elements made without a parser: whatever people write stays text.

/** Returns an element with properties, dataset and aria attributes, listeners (onclick and so on) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(node.dataset, value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** Returns the element with that id. */
export const byId = (id) => document.getElementById(id);

/** Returns "1 message" or "3 messages". */
export const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

/** Returns the disc that stands for a user. The same name has the same colour everywhere. */
export function avatar(user) {
  let hash = 0;
  for (const c of user) hash = (hash * 31 + c.codePointAt(0)) >>> 0;
  const initial = [...user][0]?.toUpperCase() ?? "?";
  return element("span", { className: `avatar hue${hash % 8}`, "aria-hidden": "true" }, initial);
}
