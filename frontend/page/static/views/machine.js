// One machine: what it is, what hangs on it, what was done to it.
import { ask } from "../asked.js";
import { call, get } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { awaited, fault, machines, soon } from "../live.js";
import { doing } from "../notices.js";
import { Connections, Firewall } from "../parts/firewall.js";
import { useFlavor } from "../parts/flavor.js";
import { Load } from "../parts/load.js";
import { Status } from "../parts/status.js";
import { Waiting } from "../parts/waiting.js";
import { link } from "../route.js";
import { images, named, networks, volumes } from "../stores.js";
import { known, t, when } from "../words.js";
import { Doing } from "./machines.js";

/** Something of this machine that is read anew whenever it has changed, or an action has ended: {value, fault, load}. */
function useRead(path, of) {
  const [state, set] = useState({ value: null, fault: null });
  const load = async () => {
    try {
      set({ value: await get("compute", path), fault: null });
    } catch (err) {
      set({ value: null, fault: err });
    }
  };
  useEffect(() => {
    load();
  }, [of, awaited.value]);
  return { value: state.value, fault: { value: state.fault }, load };
}

export function Machine({ id }) {
  const all = machines.value;
  useEffect(() => {
    if (all && !all.has(id)) soon(); // it may be newer than what was read
  }, [id]);
  if (all === null) return html`<${Waiting} of=${{ fault, load: soon }} />`;
  const machine = all.get(id);
  if (!machine) return html`<h1>${t("machine.gone")}</h1><p><a href=${link("machines")}>${t("machine.back")}</a></p>`;
  return html`<p class="crumbs"><a href=${link("machines")}>${t("view.machines")}</a></p>
    <div class="title"><h1><bdi>${machine.name}</bdi></h1><${Status} of=${machine.status} task=${machine["OS-EXT-STS:task_state"]} /></div>
    ${machine.locked && html`<p class="notice busy">${t("machine.locked")}</p>`}
    ${machine.fault && html`<div class="fault" role="note"><p><strong>${t("machine.fault")}</strong></p><p>${machine.fault.message}</p><p>${t("machine.fault.next")}</p></div>`}
    <${Doing} of=${[machine]} label=${t("machine.actions")} />
    <div class="panels">
      <section class="panel"><h2>${t("machine.facts")}</h2><${Facts} of=${machine} /></section>
      <section class="panel"><h2>${t("machine.addresses")}</h2><${Interfaces} of=${machine} /></section>
      <section class="panel"><h2>${t("machine.disks")}</h2><${Disks} of=${machine} /></section>
      <section class="panel wide"><h2>${t("machine.load")}</h2><${Load} of=${machine} /></section>
      <section class="panel"><h2>${t("machine.firewall")}</h2><${Firewall} of=${machine} /></section>
      <section class="panel"><h2>${t("firewall.ports")}</h2><${Connections} of=${machine} /></section>
      <section class="panel"><h2>${t("machine.metadata")}</h2><${Metadata} of=${machine} /></section>
      <section class="panel"><h2>${t("machine.tags")}</h2><${Tags} of=${machine} /></section>
      <section class="panel wide"><h2>${t("machine.events")}</h2><${Events} of=${machine} /></section>
      <section class="panel wide"><h2>${t("machine.log")}</h2><${Log} of=${machine} /></section>
    </div>`;
}

function Facts({ of }) {
  const flavor = useFlavor(of);
  const size = flavor && t("flavor.line", { name: flavor.name, cpus: flavor.vcpus, ram: flavor.ram, disk: flavor.disk });
  const rows = [
    ["description", of.description],
    ["image", of.image?.id && named(images, of.image.id)],
    ["flavor", size || of.flavor.id],
    ["key", of.key_name],
    ["zone", of["OS-EXT-AZ:availability_zone"]],
    ["created", when(of.created)],
    ["id", of.id],
  ];
  return html`<dl class="facts">
    ${rows.filter(([, value]) => value).map(([key, value]) => html`<dt>${t(`fact.${key}`)}</dt><dd class=${key}><bdi>${value}</bdi></dd>`)}
  </dl>`;
}

function Interfaces({ of }) {
  const read = useRead(`/servers/${of.id}/os-interface`, of);
  if (!read.value) return html`<${Waiting} of=${read} />`;
  const nics = read.value.interfaceAttachments;
  const change = async (what, work) => {
    await doing(what, work);
    soon();
    read.load();
  };
  const connect = async () => {
    await networks.load();
    ask({
      title: t("connect.title"),
      names: [of.name],
      label: t("connect"),
      fields: [{ name: "net", type: "select", label: t("network"), options: (networks.value.value || []).map((each) => [each.id, each.name]) }],
      run: ({ net }) =>
        change(t("connect.doing", { name: of.name }), () => call("compute", "POST", `/servers/${of.id}/os-interface`, { interfaceAttachment: { net_id: net } })),
    });
  };
  const disconnect = (nic) =>
    ask({
      title: t("disconnect.title", { network: named(networks, nic.net_id) }),
      names: [of.name],
      danger: true,
      label: t("disconnect"),
      run: () => change(t("disconnect.doing", { name: of.name }), () => call("compute", "DELETE", `/servers/${of.id}/os-interface/${nic.port_id}`)),
    });
  return html`${nics.length === 0 && html`<p class="empty">${t("machine.nonics")}</p>`}
    <ul class="lines">
      ${nics.map(
        (nic) => html`<li key=${nic.port_id}>
          <div><strong><bdi>${named(networks, nic.net_id)}</bdi></strong><br /><code>${nic.fixed_ips.map((each) => each.ip_address).join(", ")}</code> <code class="faint">${nic.mac_addr}</code></div>
          <button type="button" aria-label=${t("act.of", { action: t("disconnect"), name: named(networks, nic.net_id) })} onClick=${() => disconnect(nic)}>${t("disconnect")}</button>
        </li>`,
      )}
    </ul>
    <p><button type="button" onClick=${connect}>${t("connect")}</button></p>`;
}

function Disks({ of }) {
  const read = useRead(`/servers/${of.id}/os-volume_attachments`, of);
  if (!read.value) return html`<${Waiting} of=${read} />`;
  const has = read.value.volumeAttachments;
  const change = async (what, work) => {
    await doing(what, work);
    soon();
    volumes.load();
    read.load();
  };
  const attach = async () => {
    await volumes.load();
    const free = (volumes.value.value || []).filter((each) => each.status === "available");
    ask({
      title: t("attach.title"),
      names: [of.name],
      note: free.length ? "" : t("attach.none"),
      label: t("attach"),
      fields: [{ name: "volume", type: "select", required: true, label: t("volume"), options: free.map((each) => [each.id, each.name || each.id]) }],
      run: ({ volume }) =>
        change(t("attach.doing", { name: of.name }), () => call("compute", "POST", `/servers/${of.id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } })),
    });
  };
  const detach = (disk) =>
    ask({
      title: t("detach.title"),
      names: [named(volumes, disk.volumeId) || disk.volumeId],
      danger: true,
      label: t("detach"),
      run: () => change(t("detach.doing", { name: of.name }), () => call("compute", "DELETE", `/servers/${of.id}/os-volume_attachments/${disk.volumeId}`)),
    });
  return html`${has.length === 0 && html`<p>${t("machine.rootonly")}</p>`}
    <ul class="lines">
      ${has.map(
        (disk) => html`<li key=${disk.id}>
          <div><strong><bdi>${named(volumes, disk.volumeId) || disk.volumeId}</bdi></strong><br /><code>${disk.device}</code></div>
          <button type="button" onClick=${() => detach(disk)}>${t("detach")}</button>
        </li>`,
      )}
    </ul>
    <p><button type="button" onClick=${attach}>${t("attach")}</button></p>`;
}

function Metadata({ of }) {
  const send = (method, key, body, what) =>
    doing(what, () => call("compute", method, `/servers/${of.id}/metadata${key}`, body)).then(soon);
  const add = () =>
    ask({
      title: t("metadata.title"),
      names: [of.name],
      label: t("metadata.add"),
      fields: [
        { name: "key", label: t("metadata.key"), required: true, max: 255 },
        { name: "value", label: t("metadata.value"), max: 255 },
      ],
      run: ({ key, value }) => send("POST", "", { metadata: { [key]: value } }, t("metadata.add")),
    });
  const remove = (key) =>
    ask({ title: t("metadata.remove.title"), names: [key], danger: true, label: t("remove"), run: () => send("DELETE", `/${encodeURIComponent(key)}`, undefined, t("metadata.remove", { key })) });
  return html`<${Pairs} of=${Object.entries(of.metadata)} remove=${remove} /><p><button type="button" onClick=${add}>${t("metadata.add")}</button></p>`;
}

function Pairs({ of, remove }) {
  if (!of.length) return html`<p class="empty">${t("none")}</p>`;
  return html`<ul class="lines">
    ${of.map(
      ([key, value]) => html`<li key=${key}>
        <div><strong><bdi>${key}</bdi></strong>${value !== undefined && html`<br /><bdi>${value}</bdi>`}</div>
        <button type="button" aria-label=${t("act.of", { action: t("remove"), name: key })} onClick=${() => remove(key)}>${t("remove")}</button>
      </li>`,
    )}
  </ul>`;
}

function Tags({ of }) {
  const send = (method, tag, what) => doing(what, () => call("compute", method, `/servers/${of.id}/tags/${encodeURIComponent(tag)}`)).then(soon);
  const add = () =>
    ask({
      title: t("tags.title"),
      names: [of.name],
      label: t("tags.add"),
      fields: [{ name: "tag", label: t("machines.tag"), required: true, max: 60 }],
      run: ({ tag }) => send("PUT", tag, t("tags.add")),
    });
  return html`<${Pairs} of=${(of.tags || []).map((each) => [each, undefined])} remove=${(tag) => send("DELETE", tag, t("metadata.remove", { key: tag }))} />
    <p><button type="button" onClick=${add}>${t("tags.add")}</button></p>`;
}

function Events({ of }) {
  const read = useRead(`/servers/${of.id}/os-instance-actions`, of);
  if (!read.value) return html`<${Waiting} of=${read} />`;
  const rows = read.value.instanceActions;
  return html`${rows.length === 0 && html`<p class="empty">${t("none")}</p>`}
    <ul class="events">
      ${rows.map(
        (each) => html`<li key=${each.request_id} class=${each.message ? "bad" : ""}>
          <time datetime=${each.start_time}>${when(each.start_time)}</time>
          <span>${known(`event.${each.action}`, each.action)}${each.message && html` – <strong>${each.message === "Error" ? t("event.failed") : each.message}</strong>`}</span>
        </li>`,
      )}
    </ul>`;
}

function Log({ of }) {
  const [text, set] = useState(null);
  const show = () =>
    doing(t("log.doing", { name: of.name }), async () => {
      const { body } = await call("compute", "POST", `/servers/${of.id}/action`, { "os-getConsoleOutput": { length: 200 } });
      set(body.output || t("log.empty"));
    });
  return html`<p><button type="button" onClick=${show}>${t("log.show")}</button></p>
    ${text !== null && html`<pre class="log" tabindex="0" role="region" aria-label=${t("machine.log")}>${text}</pre>`}`;
}
