// Volumes and their snapshots.
import { ask } from "../asked.js";
import { call } from "../api.js";
import { html, useEffect } from "../html.js";
import { machines, soon } from "../live.js";
import { doing } from "../notices.js";
import { Status } from "../parts/status.js";
import { Waiting } from "../parts/waiting.js";
import { volumes, volumeSnapshots } from "../stores.js";
import { t, when } from "../words.js";

const MOVING = 2000; // milliseconds
const RESTING = ["available", "in-use", "error"];

function again() {
  volumes.load();
  volumeSnapshots.load();
  soon();
}

const change = (what, work) => doing(what, work).then(again);
const title = (of) => of.name || of.id;

export function Volumes() {
  useEffect(again, []);
  const [all, kept] = [volumes.value.value, volumeSnapshots.value.value];
  const moving = [...(all || []), ...(kept || [])].some((each) => !RESTING.includes(each.status));
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => document.hidden || again(), MOVING);
    return () => clearInterval(timer);
  }, [moving]);
  return html`<div class="title"><h1>${t("view.volumes")}</h1><button type="button" class="main" onClick=${() => make()}>${t("volume.make")}</button></div>
    ${all === null ? html`<${Waiting} of=${volumes} />` : all.length === 0 ? html`<p class="empty">${t("volume.empty")}</p>` : html`<ul class="rows">${all.map((each) => html`<${Volume} key=${each.id} of=${each} />`)}</ul>`}
    <h2>${t("quota.snapshots")}</h2>
    ${kept === null ? html`<${Waiting} of=${volumeSnapshots} />` : kept.length === 0 ? html`<p class="empty">${t("none")}</p>` : html`<ul class="rows">${kept.map((each) => html`<${Snapshot} key=${each.id} of=${each} />`)}</ul>`}`;
}

function Volume({ of }) {
  const on = of.attachments[0]?.server_id;
  const name = title(of);
  return html`<li>
    <div><strong><bdi>${name}</bdi></strong>${on && html`<br /><span class="faint">${t("volume.on")} <bdi>${machines.value?.get(on)?.name || on}</bdi></span>`}</div>
    <${Status} of=${of.status} />
    <span class="faint">${t("volume.size", { n: of.size })} · ${when(of.created_at)}</span>
    <div class="doing">
      ${!on && html`<button type="button" aria-label=${t("act.of", { action: t("attach"), name })} onClick=${() => attach(of)}>${t("attach")}</button>`}
      ${on && html`<button type="button" aria-label=${t("act.of", { action: t("detach"), name })} onClick=${() => detach(of, on)}>${t("detach")}</button>`}
      <button type="button" aria-label=${t("act.of", { action: t("action.snapshot"), name })} onClick=${() => snapshot(of)}>${t("action.snapshot")}</button>
      ${!on && html`<button type="button" aria-label=${t("act.of", { action: t("volume.extend"), name })} onClick=${() => extend(of)}>${t("volume.extend")}</button>`}
      <button type="button" aria-label=${t("act.of", { action: t("action.rename"), name })} onClick=${() => rename(of)}>${t("action.rename")}</button>
      ${!on && html`<button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name })} onClick=${() => remove(of, "volumes", t("volume.remove"))}>${t("remove")}</button>`}
    </div>
  </li>`;
}

function Snapshot({ of }) {
  const name = title(of);
  return html`<li>
    <div><strong><bdi>${name}</bdi></strong></div>
    <${Status} of=${of.status} />
    <span class="faint">${t("volume.size", { n: of.size })} · ${when(of.created_at)}</span>
    <div class="doing">
      <button type="button" aria-label=${t("act.of", { action: t("volume.make"), name })} onClick=${() => make(of)}>${t("volume.make")}</button>
      <button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name })} onClick=${() => remove(of, "snapshots", t("volume.snapshot.remove"))}>${t("remove")}</button>
    </div>
  </li>`;
}

function make(of = null) {
  ask({
    title: t("volume.make"),
    names: of ? [title(of)] : [],
    label: t("make"),
    fields: [
      { name: "name", label: t("name"), required: true, max: 255 },
      { name: "size", type: "number", label: t("volume.gib"), value: of ? of.size : 10, min: of ? of.size : 1, required: true },
    ],
    run: ({ name, size }) => {
      const volume = { name, size: Number(size), ...(of ? { snapshot_id: of.id } : {}) };
      change(t("volume.doing", { name }), () => call("volumev3", "POST", "/volumes", { volume }));
    },
  });
}

function attach(of) {
  const free = [...(machines.value?.values() || [])].filter((each) => ["ACTIVE", "SHUTOFF"].includes(each.status));
  ask({
    title: t("volume.attach.of", { name: title(of) }),
    note: free.length ? "" : t("network.connect.none"),
    label: t("attach"),
    fields: [{ name: "machine", type: "select", required: true, label: t("machine"), options: free.map((each) => [each.id, each.name]) }],
    run: ({ machine }) =>
      change(t("volume.attach.of", { name: title(of) }), () => call("compute", "POST", `/servers/${machine}/os-volume_attachments`, { volumeAttachment: { volumeId: of.id } })),
  });
}

function detach(of, machine) {
  ask({
    title: t("detach.title"),
    names: [title(of)],
    danger: true,
    label: t("detach"),
    run: () => change(t("volume.detach.of", { name: title(of) }), () => call("compute", "DELETE", `/servers/${machine}/os-volume_attachments/${of.id}`)),
  });
}

function snapshot(of) {
  ask({
    title: t("volume.snapshot.of", { name: title(of) }),
    label: t("action.snapshot"),
    fields: [{ name: "name", label: t("snapshot.name"), required: true, max: 255 }],
    run: ({ name }) =>
      change(t("volume.snapshot.of", { name: title(of) }), () => call("volumev3", "POST", "/snapshots", { snapshot: { volume_id: of.id, name, force: true } })),
  });
}

function extend(of) {
  ask({
    title: t("volume.extend.of", { name: title(of) }),
    label: t("volume.extend"),
    fields: [{ name: "size", type: "number", label: t("volume.gib"), value: of.size + 1, min: of.size + 1, required: true }],
    run: ({ size }) =>
      change(t("volume.extend.of", { name: title(of) }), () => call("volumev3", "POST", `/volumes/${of.id}/action`, { "os-extend": { new_size: Number(size) } })),
  });
}

function rename(of) {
  ask({
    title: t("rename.of", { name: title(of) }),
    label: t("action.rename"),
    fields: [{ name: "name", label: t("rename.name"), value: of.name, required: true, max: 255 }],
    run: ({ name }) => change(t("rename.of", { name: title(of) }), () => call("volumev3", "PUT", `/volumes/${of.id}`, { volume: { name } })),
  });
}

function remove(of, kind, words) {
  ask({
    title: words,
    names: [title(of)],
    danger: true,
    label: t("remove"),
    run: () => change(t("remove.of", { name: title(of) }), () => call("volumev3", "DELETE", `/${kind}/${of.id}`)),
  });
}
