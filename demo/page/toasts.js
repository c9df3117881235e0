// Notices that come up, and go by themselves.

import { byId, element } from "./element.js";

const SHOWN_FOR = 8_000;
const MOST = 4;

/** Shows a notice. Whoever points at it or has it in focus keeps it. */
export function toast(title, text) {
  const list = byId("toasts");
  const close = element("button", { type: "button", className: "leave", "aria-label": "Close" }, "×");
  const item = element(
    "li",
    { className: "toast" },
    element("div", {}, element("strong", {}, title), element("p", {}, text)),
    close,
  );
  close.onclick = () => item.remove();
  const expire = () =>
    setTimeout(() => {
      if (item.matches(":hover, :focus-within")) expire();
      else item.remove();
    }, SHOWN_FOR);
  list.append(item);
  while (list.childElementCount > MOST) list.firstElementChild.remove();
  expire();
}
