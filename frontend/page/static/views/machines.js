// All machines: to be searched, chosen and acted upon. Rows are cheap, as there may be hundreds.
import { ACTIONS, begin } from "../actions.js";
import { html, signal } from "../html.js";
import { kept } from "../kept.js";
import * as live from "../live.js";
import { Field } from "../parts/field.js";
import { Status } from "../parts/status.js";
import { Waiting } from "../parts/waiting.js";
import { link } from "../route.js";
import { flavors, images, named } from "../stores.js";
import { known, number, t } from "../words.js";

const look = kept("look", "list");
const wanted = signal({ text: "", status: "", tag: "" });
const chosen = signal(new Set());
const source = { fault: live.fault, load: live.soon };

const tagsOf = (machine) => machine.tags || [];
export const addressesOf = (machine) => Object.values(machine.addresses || {}).flat().map((each) => each.addr);

function found() {
  const { text, status, tag } = wanted.value;
  const needle = text.trim().toLowerCase();
  return [...live.machines.value.values()].filter(
    (each) =>
      (!status || each.status === status) &&
      (!tag || tagsOf(each).includes(tag)) &&
      (!needle || [each.name, each.id, ...addressesOf(each), ...tagsOf(each)].some((one) => one.toLowerCase().includes(needle))),
  );
}

export function Machines() {
  const all = live.machines.value;
  return html`<div class="title"><h1>${t("view.machines")}</h1><a class="button main" href=${link("create")}>${t("create.open")}</a></div>
    ${all === null ? html`<${Waiting} of=${source} />` : all.size === 0 ? html`<p class="empty">${t("machines.empty")}</p>` : html`<${List} />`}`;
}

function List() {
  const rows = found();
  return html`<${Tools} shown=${rows} />
    ${rows.length === 0 && html`<p class="empty">${t("machines.nothing")}</p>`}
    <ul class="machines ${look.value}" aria-label=${t("view.machines")}>
      ${rows.map((each) => html`<${Row} key=${each.id} machine=${each} picked=${chosen.value.has(each.id)} image=${imageOf(each)} flavor=${named(flavors, each.flavor.id)} />`)}
    </ul>`;
}

const imageOf = (machine) => (machine.image?.id ? named(images, machine.image.id) : "");

function Tools({ shown }) {
  const all = [...live.machines.value.values()];
  const set = (key) => (value) => (wanted.value = { ...wanted.value, [key]: value });
  const states = [...new Set(all.map((each) => each.status))].sort();
  const tags = [...new Set(all.flatMap(tagsOf))].sort();
  const picked = shown.filter((each) => chosen.value.has(each.id));
  const whole = (event) => (chosen.value = new Set(event.target.checked ? shown.map((each) => each.id) : []));
  return html`<div class="tools" role="search" aria-label=${t("machines.search")}>
      <${Field} name="text" type="search" label=${t("machines.search")} value=${wanted.value.text} onInput=${set("text")} />
      <${Field} name="status" type="select" label=${t("machines.status")} value=${wanted.value.status} onInput=${set("status")}
        options=${[["", t("machines.any")], ...states.map((each) => [each, known(`status.${each}`, each)])]} />
      ${tags.length > 0 && html`<${Field} name="tag" type="select" label=${t("machines.tag")} value=${wanted.value.tag} onInput=${set("tag")}
        options=${[["", t("machines.any")], ...tags.map((each) => [each, each])]} />`}
      <button type="button" class="look" onClick=${() => (look.value = look.value === "list" ? "cards" : "list")}>${t(look.value === "list" ? "machines.cards" : "machines.list")}</button>
    </div>
    <div class="pick">
      <label class="choice"><input type="checkbox" checked=${shown.length > 0 && picked.length === shown.length} onChange=${whole} /> ${t("machines.all", { n: number(shown.length) })}</label>
      ${picked.length > 0 && html`<${Doing} of=${picked} />`}
    </div>`;
}

/** Buttons of what the machines may have now. */
export function Doing({ of, label = t("machines.chosen", { n: number(of.length) }) }) {
  const may = Object.keys(ACTIONS).filter((each) => !(ACTIONS[each].one && of.length > 1) && of.some(ACTIONS[each].when));
  return html`<div class="doing" role="group" aria-label=${label}>
    <span>${label}</span>
    ${may.map((each) => html`<button type="button" class=${ACTIONS[each].danger ? "danger" : ""} onClick=${() => begin(each, of)}>${t(`action.${each}`)}</button>`)}
  </div>`;
}

/** Drawn anew only when one of its properties is another: the signals' own rule for whatever reads one, as t() does. */
function Row({ machine, picked, image, flavor }) {
  const pick = (event) => {
    const now = new Set(chosen.value);
    now[event.target.checked ? "add" : "delete"](machine.id);
    chosen.value = now;
  };
  return html`<li class=${picked ? "picked" : ""}>
    <input type="checkbox" checked=${picked} onChange=${pick} aria-label=${t("machines.pick", { name: machine.name })} />
    <span class="sign" aria-hidden="true">${(image || machine.name).slice(0, 1).toUpperCase()}</span>
    <a class="name" href=${link("machines", machine.id)}><bdi>${machine.name}</bdi></a>
    <${Status} of=${machine.status} task=${machine["OS-EXT-STS:task_state"]} />
    <span class="addresses">${addressesOf(machine).join(", ")}</span>
    <span class="made"><bdi>${image}</bdi> · <bdi>${flavor}</bdi></span>
    ${tagsOf(machine).length > 0 && html`<span class="tags">${tagsOf(machine).map((each) => html`<span class="tag"><bdi>${each}</bdi></span>`)}</span>`}
  </li>`;
}
