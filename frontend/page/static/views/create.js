// A machine in five steps: image, flavor, network and key, names, and a last look.
import { call } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { soon } from "../live.js";
import { advice, wrong } from "../notices.js";
import { Field } from "../parts/field.js";
import { Copy } from "../parts/secret.js";
import { Waiting } from "../parts/waiting.js";
import { link } from "../route.js";
import { credits, flavors, groups, images, keys, limits, named, networks } from "../stores.js";
import { mebibytes, number, t } from "../words.js";

const STEPS = ["image", "flavor", "network", "name", "confirm"];
const FIRST = { image: "", flavor: "", networks: [], key: "", group: "", name: "", count: 1, data: "" };

export function Create() {
  const [step, at] = useState(0);
  const [wish, change] = useState(FIRST);
  const [state, set] = useState({});
  const form = useRef();
  const set1 = (key) => (value) => change((now) => ({ ...now, [key]: value }));
  useEffect(() => {
    for (const each of [images, flavors, networks, keys, groups, limits, credits]) each.load();
  }, []);
  useEffect(() => form.current?.querySelector("h2").focus(), [step]);
  if (state.made) return html`<${Made} of=${state.made} wish=${wish} />`;
  const Step = PAGES[STEPS[step]];
  const next = async (event) => {
    event.preventDefault();
    if (step < STEPS.length - 1) return at(step + 1);
    if (state.busy) return undefined;
    set({ busy: true });
    try {
      set({ made: await send(wish) });
      soon();
    } catch (err) {
      set({ fault: err });
    }
    return undefined;
  };
  return html`<h1>${t("create.title")}</h1>
    <ol class="steps">
      ${STEPS.map((each, n) => html`<li aria-current=${n === step ? "step" : undefined} class=${n < step ? "done" : ""}>${t(`step.${each}`)}</li>`)}
    </ol>
    <form class="wizard" ref=${form} onSubmit=${next}>
      <h2 tabindex="-1">${t(`step.${STEPS[step]}`)}</h2>
      <${Step} key=${step} wish=${wish} set=${set1} />
      ${state.fault && html`<div class="fault" role="alert"><p><strong>${wrong(state.fault)}</strong></p><p>${advice(state.fault)}</p></div>`}
      ${state.busy && html`<p role="status"><span class="spin" aria-hidden="true"></span>${t("create.sending")}</p>`}
      <div class="buttons">
        ${step > 0 && html`<button type="button" onClick=${() => (set({}), at(step - 1))}>${t("back")}</button>`}
        <button class="main" aria-disabled=${Boolean(state.busy)}>${t(step < STEPS.length - 1 ? "next" : "create.go")}</button>
        <a class="button" href=${link("machines")}>${t("cancel")}</a>
      </div>
    </form>`;
}

async function send(wish) {
  const count = Number(wish.count) || 1;
  const server = { name: wish.name, imageRef: wish.image, flavorRef: wish.flavor, min_count: count, max_count: count };
  if (wish.networks.length) server.networks = wish.networks.map((uuid) => ({ uuid }));
  if (wish.key) server.key_name = wish.key;
  if (wish.group) server.security_groups = [{ name: wish.group }];
  if (wish.data.trim()) server.user_data = base64(wish.data);
  return (await call("compute", "POST", "/servers", { server })).body.server;
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Cards of which one is chosen: [value, title, lines, why not]. */
function Choices({ name, legend, cards, value, set, many }) {
  const pick = (key) => (many ? set(value.includes(key) ? value.filter((each) => each !== key) : [...value, key]) : set(key));
  const on = (key) => (many ? value.includes(key) : value === key);
  return html`<fieldset class="choices">
    <legend>${legend}</legend>
    ${cards.map(
      ([key, title, lines, not]) => html`<label key=${key} class="card ${not ? "not" : ""}">
        <input type=${many ? "checkbox" : "radio"} name=${name} value=${key} required=${!many} disabled=${Boolean(not)} checked=${on(key)} onChange=${() => pick(key)} />
        <span><strong><bdi>${title}</bdi></strong>${[...lines, not].filter(Boolean).map((each) => html`<small>${each}</small>`)}</span>
      </label>`,
    )}
  </fieldset>`;
}

function ImageStep({ wish, set }) {
  const all = images.value.value;
  if (!all) return html`<${Waiting} of=${images} />`;
  const ready = all.filter((each) => each.status === "active");
  const card = (each) => [each.id, each.name || each.id, [t("image.least", { disk: each.min_disk, ram: each.min_ram })]];
  const open = ready.filter((each) => each.visibility === "public");
  const own = ready.filter((each) => each.visibility !== "public");
  if (!ready.length) return html`<p class="empty">${t("create.noimage")}</p>`;
  return html`${open.length > 0 && html`<${Choices} name="image" legend=${t("create.system")} cards=${open.map(card)} value=${wish.image} set=${set("image")} />`}
    ${own.length > 0 && html`<${Choices} name="image" legend=${t("create.own")} cards=${own.map(card)} value=${wish.image} set=${set("image")} />`}`;
}

function FlavorStep({ wish, set }) {
  const [all, has, money] = [flavors.value.value, limits.value.value, credits.value.value];
  if (!all) return html`<${Waiting} of=${flavors} />`;
  if (!has) return html`<${Waiting} of=${limits} />`;
  const image = (images.value.value || []).find((each) => each.id === wish.image) || { min_disk: 0, min_ram: 0 };
  const left = (most, used) => (most < 0 ? Infinity : most - used);
  const not = (each) => {
    if (each.disk < image.min_disk || each.ram < image.min_ram) return t("flavor.small");
    const [cores, ram] = [left(has.maxTotalCores, has.totalCoresUsed), left(has.maxTotalRAMSize, has.totalRAMUsed)];
    return each.vcpus > cores || each.ram > ram || left(has.maxTotalInstances, has.totalInstancesUsed) < 1 ? t("flavor.quota") : "";
  };
  const cost = (each) => (money?.flavors[each.id] > 0 ? t("flavor.cost", { n: number(money.flavors[each.id], 3) }) : "");
  const cards = all.map((each) => [each.id, each.name, [t("flavor.size", { cpus: each.vcpus, ram: mebibytes(each.ram), disk: each.disk }), cost(each)], not(each)]);
  return html`<${Choices} name="flavor" legend=${t("create.flavor")} cards=${cards} value=${wish.flavor} set=${set("flavor")} />`;
}

function NetworkStep({ wish, set }) {
  if (!networks.value.value) return html`<${Waiting} of=${networks} />`;
  const cards = networks.value.value.map((each) => [each.id, each.name, [t(each.shared || each["router:external"] ? "network.shared" : "network.own")]]);
  const own = (keys.value.value || []).map((each) => [each.name, each.name]);
  const modes = (groups.value.value || []).map((each) => [each.name, each.name]);
  return html`<${Choices} many name="network" legend=${t("create.networks")} cards=${cards} value=${wish.networks} set=${set("networks")} />
    <${Field} key=${`keys${own.length}`} name="key" type="select" label=${t("create.key")} value=${wish.key} onInput=${set("key")} options=${[["", t("create.nokey")], ...own]} hint=${t("create.key.hint")} />
    <${Field} key=${`modes${modes.length}`} name="group" type="select" label=${t("machine.firewall")} value=${wish.group} onInput=${set("group")} options=${[["", t("create.nogroup")], ...modes]} />`;
}

function NameStep({ wish, set }) {
  return html`<${Field} name="name" label=${t("create.name")} value=${wish.name} onInput=${set("name")} required max=${255} hint=${t("create.name.hint")} />
    <${Field} name="count" type="number" label=${t("create.count")} value=${wish.count} onInput=${set("count")} min=${1} required />
    <${Field} name="data" type="textarea" label=${t("create.data")} value=${wish.data} onInput=${set("data")} hint=${t("create.data.hint")} />`;
}

function ConfirmStep({ wish }) {
  const price = (credits.value.value?.flavors[wish.flavor] || 0) * wish.count;
  const rows = [
    ["step.name", wish.name],
    ["create.count", number(wish.count)],
    ["step.image", named(images, wish.image)],
    ["step.flavor", named(flavors, wish.flavor)],
    ["create.networks", wish.networks.map((each) => named(networks, each)).join(", ") || t("create.default")],
    ["create.key", wish.key || t("create.nokey")],
    ["machine.firewall", wish.group || t("create.nogroup")],
    ["create.data", wish.data.trim() ? t("create.data.some", { n: number(wish.data.length) }) : t("none")],
    ["create.cost", price > 0 && t("flavor.cost", { n: number(price, 3) })],
  ];
  return html`<dl class="facts">${rows.filter(([, value]) => value).map(([key, value]) => html`<dt>${t(key)}</dt><dd><bdi>${value}</bdi></dd>`)}</dl>`;
}

const PAGES = { image: ImageStep, flavor: FlavorStep, network: NetworkStep, name: NameStep, confirm: ConfirmStep };

/** The password is shown here, and never again. */
function Made({ of, wish }) {
  return html`<h1>${t("made.title")}</h1>
    <p role="status">${t("made.words", { name: wish.name })}</p>
    ${of.adminPass &&
    html`<div class="secret">
      <p>${t("made.password")}</p>
      <output>${of.adminPass}</output>
      <${Copy} text=${of.adminPass} />
    </div>`}
    <p class="buttons"><a class="button main" href=${link("machines", of.id)}>${t("made.show")}</a> <a class="button" href=${link("machines")}>${t("view.machines")}</a></p>`;
}
