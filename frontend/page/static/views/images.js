// Images and snapshots of machines: bring, share, rename, remove.
import { ask } from "../asked.js";
import { call, session, upload } from "../api.js";
import { html, useEffect } from "../html.js";
import { doing, Stopped } from "../notices.js";
import { Status } from "../parts/status.js";
import { Waiting } from "../parts/waiting.js";
import { images, members } from "../stores.js";
import { mebibytes, t, when } from "../words.js";

const FORMATS = ["qcow2", "raw", "vmdk", "vdi", "vhdx"];
const PATCH = { "Content-Type": "application/openstack-images-v2.1-json-patch" };
const MOVING = 3000; // milliseconds between two looks at images that are not ready yet

function again() {
  images.load();
  members.load();
}

const change = (what, work) => doing(what, work).then(again);
const mine = (image) => image.owner === session.value.project.id;

export function Images() {
  useEffect(again, []);
  const all = images.value.value;
  const moving = (all || []).some((each) => ["saving", "importing"].includes(each.status));
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => document.hidden || images.load(), MOVING);
    return () => clearInterval(timer);
  }, [moving]);
  const offered = (members.value.value || []).filter((each) => !mine(each));
  return html`<div class="title"><h1>${t("view.images")}</h1><button type="button" class="main" onClick=${bring}>${t("image.bring")}</button></div>
    ${offered.length > 0 &&
    html`<section class="panel"><h2>${t("image.offered")}</h2>
      <ul class="lines">${offered.map((each) => html`<li key=${each.id}><div><bdi>${each.name}</bdi></div><div class="buttons">${["accepted", "rejected"].map((how) => html`<button type="button" aria-label=${t("act.of", { action: t(`image.${how}`), name: each.name })} onClick=${() => answer(each, how)}>${t(`image.${how}`)}</button>`)}</div></li>`)}</ul></section>`}
    ${all === null
      ? html`<${Waiting} of=${images} />`
      : html`<h2>${t("create.own")}</h2><${List} of=${all.filter((each) => each.visibility !== "public")} />
          <h2>${t("create.system")}</h2><${List} of=${all.filter((each) => each.visibility === "public")} />`}`;
}

function List({ of }) {
  if (!of.length) return html`<p class="empty">${t("image.empty")}</p>`;
  return html`<ul class="rows">
    ${of.map(
      (each) => html`<li key=${each.id}>
        <div><strong><bdi>${each.name || each.id}</bdi></strong> <span class="faint">${t(each.image_type === "snapshot" ? "image.snapshot" : "image.image")}</span></div>
        <${Status} of=${each.status} />
        <span class="faint">${[each.size && mebibytes(each.size / (1 << 20)), when(each.created_at)].filter(Boolean).join(" · ")}</span>
        ${mine(each) &&
        html`<div class="doing">
          <button type="button" aria-label=${t("act.of", { action: t("action.rename"), name: each.name })} onClick=${() => rename(each)}>${t("action.rename")}</button>
          <button type="button" aria-label=${t("act.of", { action: t("image.share"), name: each.name })} onClick=${() => share(each)}>${t("image.share")}</button>
          <button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name: each.name })} onClick=${() => remove(each)}>${t("remove")}</button>
        </div>`}
      </li>`,
    )}
  </ul>`;
}

function bring() {
  ask({
    title: t("image.bring"),
    label: t("image.send"),
    fields: [
      { name: "name", label: t("name"), required: true, max: 255 },
      { name: "file", type: "file", label: t("image.file"), required: true },
      { name: "format", type: "select", label: t("image.format"), value: "qcow2", options: FORMATS.map((each) => [each, each]) },
    ],
    run: ({ name, file, format }) => change(t("image.doing", { name }), (share) => send(name, file, format, share)),
  });
}

async function send(name, file, format, share) {
  const wish = { name, disk_format: format, container_format: "bare", visibility: "private" };
  const { body } = await call("image", "POST", "/images", wish);
  images.load();
  const told = (sent, all, stop) => share(Math.floor((100 * sent) / all), stop);
  try {
    await upload("image", `/images/${body.id}/file`, file, told, () => new Stopped());
  } catch (err) {
    await call("image", "DELETE", `/images/${body.id}`);
    throw err;
  }
}

function rename(image) {
  ask({
    title: t("image.rename"),
    label: t("action.rename"),
    fields: [{ name: "name", label: t("rename.name"), value: image.name, required: true, max: 255 }],
    run: ({ name }) =>
      change(t("rename.of", { name: image.name }), () => call("image", "PATCH", `/images/${image.id}`, [{ op: "replace", path: "/name", value: name }], PATCH)),
  });
}

function share(image) {
  ask({
    title: t("image.share.title"),
    names: [image.name],
    note: t("image.share.note", { id: session.value.project.id }),
    label: t("image.share"),
    fields: [{ name: "project", label: t("image.project"), required: true, max: 64 }],
    run: ({ project }) =>
      change(t("image.share.of", { name: image.name }), async () => {
        if (image.visibility !== "shared") await call("image", "PATCH", `/images/${image.id}`, [{ op: "replace", path: "/visibility", value: "shared" }], PATCH);
        await call("image", "POST", `/images/${image.id}/members`, { member: project.trim() });
      }),
  });
}

function answer(image, how) {
  const path = `/images/${image.id}/members/${session.value.project.id}`;
  change(t("image.answer", { name: image.name }), () => call("image", "PUT", path, { status: how }));
}

function remove(image) {
  ask({
    title: t("image.remove"),
    names: [image.name || image.id],
    danger: true,
    label: t("remove"),
    run: () => change(t("remove.of", { name: image.name }), () => call("image", "DELETE", `/images/${image.id}`)),
  });
}
