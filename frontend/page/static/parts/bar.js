// How much of a limit is used: a bar, and the same in words. A limit below 0 means any number.
import { html } from "../html.js";
import { number, t } from "../words.js";

export function Bar({ label, used, limit, show = number }) {
  const free = limit < 0;
  const full = !free && used >= limit;
  return html`<div class="bar ${full ? "full" : ""}">
    <span class="label">${label}</span>
    <span class="numbers">${free ? t("bar.free", { used: show(used) }) : t("bar.of", { used: show(used), limit: show(limit) })}</span>
    ${!free && html`<progress aria-label=${label} max=${Math.max(limit, 1)} value=${Math.min(used, limit)}></progress>`}
  </div>`;
}
