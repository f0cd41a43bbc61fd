// That something is being read, in words; or why it could not be, and once more.
import { html } from "../html.js";
import { advice, wrong } from "../notices.js";
import { t } from "../words.js";

export function Waiting({ of }) {
  const fault = of.fault.value;
  if (!fault) return html`<p class="waiting" role="status"><span class="spin" aria-hidden="true"></span>${t("waiting")}</p>`;
  return html`<div class="fault" role="alert">
    <p><strong>${wrong(fault)}</strong></p>
    <p>${advice(fault)}</p>
    <button type="button" onClick=${() => of.load()}>${t("again")}</button>
  </div>`;
}
