// Networks: who hangs on which, private ones of the project's own, and a drawing of it all.
import { ask } from "../asked.js";
import { call } from "../api.js";
import { html, useEffect } from "../html.js";
import { machines, soon } from "../live.js";
import { doing } from "../notices.js";
import { Topology } from "../parts/topology.js";
import { Waiting } from "../parts/waiting.js";
import { link } from "../route.js";
import { networkQuota, networks, ports, subnets } from "../stores.js";
import { t } from "../words.js";

const SHOWN = 24; // machines of one network

function again() {
  for (const each of [networks, subnets, ports, networkQuota]) each.load();
  soon();
}

const change = (what, work) => doing(what, work).then(again);

/** The machines of each network by the network's id: [{machine, port}]. */
export function hanging() {
  const found = new Map();
  for (const port of ports.value.value || []) {
    const machine = machines.value?.get(port.device_id);
    if (!machine) continue;
    if (!found.has(port.network_id)) found.set(port.network_id, []);
    found.get(port.network_id).push({ machine, port });
  }
  return found;
}

export function Networks() {
  useEffect(again, []);
  useEffect(() => {
    ports.load(); // who is where may be told later than the call is answered
  }, [machines.value]);
  const all = networks.value.value;
  const on = hanging();
  return html`<div class="title"><h1>${t("view.networks")}</h1><button type="button" class="main" onClick=${make}>${t("network.make")}</button></div>
    ${all === null
      ? html`<${Waiting} of=${networks} />`
      : html`${all.length > 0 && html`<section class="panel"><h2>${t("topology")}</h2><${Topology} networks=${all} on=${on} all=${[...(machines.value?.values() || [])]} may=${may} connect=${dropped} /></section>`}
          ${all.length === 0 && html`<p class="empty">${t("network.empty")}</p>`}
          <div class="panels">${all.map((each) => html`<${One} key=${each.id} of=${each} on=${on.get(each.id) || []} />`)}</div>`}`;
}

function One({ of, on }) {
  const mine = (subnets.value.value || []).filter((each) => each.network_id === of.id);
  const shared = of.shared || of["router:external"];
  return html`<section class="panel">
    <h2><bdi>${of.name}</bdi></h2>
    <p class="hint">${t(shared ? "network.shared" : "network.own")} · <code>${mine.map((each) => each.cidr).join(", ") || t("network.nosubnet")}</code></p>
    ${on.length === 0 && html`<p class="empty">${t("network.nobody")}</p>`}
    <ul class="lines">
      ${on.slice(0, SHOWN).map(
        ({ machine, port }) => html`<li key=${port.id}>
          <div><a href=${link("machines", machine.id)}><bdi>${machine.name}</bdi></a><br /><code>${port.fixed_ips.map((each) => each.ip_address).join(", ")}</code></div>
          <button type="button" aria-label=${t("act.of", { action: t("disconnect"), name: `${machine.name}, ${of.name}` })} onClick=${() => disconnect(of, machine, port)}>${t("disconnect")}</button>
        </li>`,
      )}
    </ul>
    ${on.length > SHOWN && html`<p class="hint">${t("ask.more", { n: on.length - SHOWN })}</p>`}
    <div class="buttons">
      <button type="button" aria-label=${t("act.of", { action: t("network.connect"), name: of.name })} onClick=${() => connect(of)}>${t("network.connect")}</button>
      ${!shared && html`<button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name: of.name })} onClick=${() => remove(of)}>${t("remove")}</button>`}
    </div>
  </section>`;
}

/** Whether a machine can be connected to a network on which it is not yet. */
function may(machine, network) {
  const there = (hanging().get(network.id) || []).some((each) => each.machine.id === machine.id);
  return !there && ["ACTIVE", "SHUTOFF"].includes(machine.status);
}

const send = (machine, network) =>
  change(t("network.connect.to", { network: network.name }), () =>
    call("compute", "POST", `/servers/${machine}/os-interface`, { interfaceAttachment: { net_id: network.id } }),
  );

/** One that was dragged there: asked for as anything is. */
function dropped(machine, network) {
  ask({
    title: t("network.connect.title", { network: network.name }),
    names: [machine.name],
    label: t("network.connect"),
    run: () => send(machine.id, network),
  });
}

function connect(network) {
  const free = [...(machines.value?.values() || [])].filter((each) => may(each, network));
  ask({
    title: t("network.connect.title", { network: network.name }),
    note: free.length ? "" : t("network.connect.none"),
    label: t("network.connect"),
    fields: [{ name: "machine", type: "select", required: true, label: t("machine"), options: free.map((each) => [each.id, each.name]) }],
    run: ({ machine }) => send(machine, network),
  });
}

function disconnect(network, machine, port) {
  ask({
    title: t("disconnect.title", { network: network.name }),
    names: [machine.name],
    danger: true,
    label: t("disconnect"),
    run: () => change(t("disconnect.doing", { name: machine.name }), () => call("compute", "DELETE", `/servers/${machine.id}/os-interface/${port.id}`)),
  });
}

function remove(network) {
  ask({
    title: t("network.remove"),
    names: [network.name],
    danger: true,
    label: t("remove"),
    run: () => change(t("remove.of", { name: network.name }), () => call("network", "DELETE", `/networks/${network.id}`)),
  });
}

function make() {
  ask({
    title: t("network.make"),
    label: t("make"),
    fields: [
      { name: "name", label: t("name"), required: true, max: 255 },
      { name: "cidr", label: t("network.cidr"), value: "10.0.0.0/24", required: true, hint: t("network.cidr.hint") },
    ],
    run: ({ name, cidr }) =>
      change(t("network.make.doing", { name }), async () => {
        const { body } = await call("network", "POST", "/networks", { network: { name } });
        try {
          await call("network", "POST", "/subnets", { subnet: { network_id: body.network.id, ip_version: 4, cidr } });
        } catch (err) {
          await call("network", "DELETE", `/networks/${body.network.id}`); // without addresses it is of no use
          throw err;
        }
      }),
  });
}
