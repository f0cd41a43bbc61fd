// The one bar that asks before anything is changed: it says what will be affected.
import { asked, close } from "../asked.js";
import { html, useEffect, useRef } from "../html.js";
import { t } from "../words.js";
import { answers, Field } from "./field.js";

const SHOWN = 12; // names

export function ConfirmBar() {
  const question = asked.value;
  return question && html`<${Question} key=${question.title + question.names.join()} ...${question} />`;
}

function Question({ title, names, note, fields, danger, label, run }) {
  const form = useRef();
  useEffect(() => {
    (form.current.querySelector("input, select, textarea") || form.current.querySelector("button")).focus();
  }, []);
  const confirm = (event) => {
    event.preventDefault();
    const values = answers(form.current);
    close();
    run(values);
  };
  const key = (event) => event.key === "Escape" && close();
  return html`<form class="confirm ${danger ? "danger" : ""}" ref=${form} aria-labelledby="confirm-title" onSubmit=${confirm} onKeyDown=${key}>
    <div class="inside">
      <h2 id="confirm-title">${title}</h2>
      ${names.length > 0 &&
      html`<ul class="names" tabindex="0" aria-label=${t("ask.names")}>
        ${names.slice(0, SHOWN).map((each) => html`<li><bdi>${each}</bdi></li>`)}
        ${names.length > SHOWN && html`<li class="more">${t("ask.more", { n: names.length - SHOWN })}</li>`}
      </ul>`}
      ${note && html`<p class="hint">${note}</p>`}
      ${fields.map((each) => html`<${Field} key=${each.name} ...${each} />`)}
      <div class="buttons">
        <button class=${danger ? "danger" : "main"}>${label}</button>
        <button type="button" onClick=${close}>${t("cancel")}</button>
      </div>
    </div>
  </form>`;
}
