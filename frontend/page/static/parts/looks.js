// Language and light or dark, which need no account.
import { html } from "../html.js";
import { theme, THEMES } from "../theme.js";
import { language, LANGUAGES, speak, t } from "../words.js";

export function Looks() {
  return html`<div class="looks">
    <label
      ><span>${t("language")}</span>
      <select onChange=${(event) => speak(event.target.value)}>
        ${Object.entries(LANGUAGES).map(([key, name]) => html`<option value=${key} lang=${key} selected=${key === language.value}>${name}</option>`)}
      </select></label
    >
    <label
      ><span>${t("theme")}</span>
      <select onChange=${(event) => (theme.value = event.target.value)}>
        ${THEMES.map((each) => html`<option value=${each} selected=${each === theme.value}>${t(`theme.${each}`)}</option>`)}
      </select></label
    >
  </div>`;
}
