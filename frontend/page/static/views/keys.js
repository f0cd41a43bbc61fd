// Keys for SSH, which are the person's, whatever the project.
import { ask } from "../asked.js";
import { call } from "../api.js";
import { html, signal, useEffect } from "../html.js";
import { doing } from "../notices.js";
import { Secret } from "../parts/secret.js";
import { Waiting } from "../parts/waiting.js";
import { keys } from "../stores.js";
import { t } from "../words.js";

const made = signal(null); // a private half, until the view is left

const change = (what, work) => doing(what, work).then(keys.load);

export function Keys() {
  useEffect(() => {
    keys.load();
    return () => (made.value = null);
  }, []);
  const all = keys.value.value;
  return html`<div class="title">
      <h1>${t("view.keys")}</h1>
      <div class="doing"><button type="button" class="main" onClick=${bring}>${t("key.bring")}</button> <button type="button" onClick=${make}>${t("key.make")}</button></div>
    </div>
    <p>${t("key.words")}</p>
    ${made.value && html`<${Secret} words=${t("key.secret")} text=${made.value.private_key} file=${`${made.value.name}.pem`} />`}
    ${all === null
      ? html`<${Waiting} of=${keys} />`
      : all.length === 0
        ? html`<p class="empty">${t("key.empty")}</p>`
        : html`<ul class="rows">
            ${all.map(
              (each) => html`<li key=${each.name}>
                <div><strong><bdi>${each.name}</bdi></strong></div>
                <code class="faint">${each.fingerprint}</code>
                <div class="doing"><button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name: each.name })} onClick=${() => remove(each)}>${t("remove")}</button></div>
              </li>`,
            )}
          </ul>`}`;
}

function bring() {
  ask({
    title: t("key.bring"),
    label: t("key.bring"),
    fields: [
      { name: "name", label: t("name"), required: true, max: 255 },
      { name: "public_key", type: "textarea", label: t("key.public"), required: true, hint: t("key.public.hint") },
    ],
    run: (keypair) => change(t("key.doing", { name: keypair.name }), () => call("compute", "POST", "/os-keypairs", { keypair })),
  });
}

function make() {
  ask({
    title: t("key.make"),
    label: t("make"),
    fields: [{ name: "name", label: t("name"), required: true, max: 255 }],
    run: ({ name }) =>
      change(t("key.doing", { name }), async () => {
        made.value = (await call("compute", "POST", "/os-keypairs", { keypair: { name } })).body.keypair;
      }),
  });
}

function remove(key) {
  ask({
    title: t("key.remove"),
    names: [key.name],
    danger: true,
    label: t("remove"),
    run: () => change(t("remove.of", { name: key.name }), () => call("compute", "DELETE", `/os-keypairs/${encodeURIComponent(key.name)}`)),
  });
}
