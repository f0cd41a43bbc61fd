// One question of a form, with its label and its hint.
import { html, useState } from "../html.js";

let count = 0;

export function Field({ name, label, type = "text", value = "", options = [], required, hint, max, min, accept, rows = 5, onInput, autocomplete = "off" }) {
  const [id] = useState(() => `field-${name}-${(count += 1)}`);
  const told = hint ? `${id}-hint` : undefined;
  const common = { name, required, "aria-describedby": told, onInput: onInput && ((event) => onInput(event.target.value)) };
  if (type === "radio") {
    return html`<fieldset class="field">
      <legend>${label}</legend>
      ${options.map(
        ([key, words]) => html`<label class="choice"><input type="radio" ...${common} value=${key} defaultChecked=${key === value} /> ${words}</label>`,
      )}
    </fieldset>`;
  }
  if (type === "checkbox") {
    return html`<label class="field choice"><input type="checkbox" ...${common} defaultChecked=${value} /> ${label}</label>`;
  }
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${type === "select"
      ? html`<select id=${id} ...${common}>
          ${options.map(([key, words]) => html`<option value=${key} defaultSelected=${key === value}>${words}</option>`)}
        </select>`
      : type === "textarea"
        ? html`<textarea id=${id} ...${common} rows=${rows} spellcheck=${false} defaultValue=${value}></textarea>`
        : html`<input id=${id} ...${common} type=${type} defaultValue=${value} maxlength=${max} min=${min} accept=${accept} autocomplete=${autocomplete} />`}
    ${hint && html`<p class="hint" id=${told}>${hint}</p>`}
  </div>`;
}

/** The answers of a form, by name. */
export function answers(form) {
  const found = {};
  for (const [name, value] of new FormData(form)) found[name] = value;
  return found;
}
