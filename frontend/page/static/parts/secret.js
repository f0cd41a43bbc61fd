// A text to be taken along: copied, or as a file.
import { html, useState } from "../html.js";
import { t } from "../words.js";

/** Have the browser save a text; it goes nowhere else. */
export function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name.replace(/[^\w.-]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

/** Browsers have no clipboard for a page that came without TLS: there it is marked by hand. */
export function Copy({ text }) {
  const [copied, copy] = useState(false);
  if (!navigator.clipboard) return null;
  return html`<button type="button" onClick=${() => navigator.clipboard.writeText(text).then(() => copy(true))}>${t(copied ? "copied" : "copy")}</button>`;
}

export function Secret({ words, text, file }) {
  return html`<div class="secret">
    <p>${words}</p>
    <pre tabindex="0" role="region" aria-label=${words}>${text}</pre>
    <div class="buttons">
      <${Copy} text=${text} />
      <button type="button" onClick=${() => save(file, text)}>${t("save", { file })}</button>
    </div>
  </div>`;
}
