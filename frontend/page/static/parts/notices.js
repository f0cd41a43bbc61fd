// The notices, told to screen readers as they come.
import { html } from "../html.js";
import { dismiss, notices } from "../notices.js";
import { t } from "../words.js";

export function Notices() {
  return html`<section class="notices" aria-label=${t("notices")} aria-live="polite">
    ${notices.value.map((each) => html`<${Notice} key=${each.id} ...${each} />`)}
  </section>`;
}

function Notice({ id, kind, text, next, action, share }) {
  return html`<div class="notice ${kind}">
    <div>
      <p>${kind === "busy" && html`<span class="spin" aria-hidden="true"></span>`}${text}</p>
      ${share !== undefined && html`<p class="share" aria-live="off"><progress aria-label=${text} max="100" value=${share}></progress><span aria-hidden="true">${t("notice.share", { n: share })}</span></p>`}
      ${next && html`<p class="next">${next}</p>`}
    </div>
    ${action && html`<button type="button" onClick=${action.run}>${action.label}</button>`}
    <button type="button" class="plain" aria-label=${t("notice.dismiss")} onClick=${() => dismiss(id)}>✕</button>
  </div>`;
}
