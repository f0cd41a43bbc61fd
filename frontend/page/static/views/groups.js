// Firewall: the modes that there are, and groups of rules of the project's own.
import { ask } from "../asked.js";
import { call } from "../api.js";
import { html, useEffect } from "../html.js";
import { doing } from "../notices.js";
import { Rules } from "../parts/firewall.js";
import { Waiting } from "../parts/waiting.js";
import { groups } from "../stores.js";
import { t } from "../words.js";

const change = (what, work) => doing(what, work).then(groups.load);

export function Groups() {
  useEffect(() => {
    groups.load();
  }, []);
  const all = groups.value.value;
  return html`<div class="title"><h1>${t("view.firewall")}</h1><button type="button" class="main" onClick=${make}>${t("group.make")}</button></div>
    <p>${t("group.words")}</p>
    ${all === null ? html`<${Waiting} of=${groups} />` : html`<div class="panels">${all.map((each) => html`<${Group} key=${each.id} of=${each} />`)}</div>`}`;
}

/** Those of the administrator's are the same in each project, and were never made. */
const own = (group) => Boolean(group.created_at);

function Group({ of }) {
  const removeRule = (rule) =>
    change(t("rule.doing", { name: of.name }), () => call("network", "DELETE", `/security-group-rules/${rule.id}`));
  return html`<section class="panel">
    <h2><bdi>${of.name}</bdi></h2>
    <p class="hint">${of.description || t(own(of) ? "group.own" : "group.given")}</p>
    <${Rules} of=${of.security_group_rules} remove=${own(of) ? removeRule : undefined} />
    ${own(of) &&
    html`<div class="buttons">
      <button type="button" aria-label=${t("act.of", { action: t("rule.add"), name: of.name })} onClick=${() => addRule(of)}>${t("rule.add")}</button>
      <button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name: of.name })} onClick=${() => remove(of)}>${t("remove")}</button>
    </div>`}
  </section>`;
}

function make() {
  ask({
    title: t("group.make"),
    label: t("make"),
    fields: [
      { name: "name", label: t("name"), required: true, max: 255 },
      { name: "description", label: t("fact.description"), max: 255 },
    ],
    run: (group) => change(t("group.doing", { name: group.name }), () => call("network", "POST", "/security-groups", { security_group: group })),
  });
}

function remove(group) {
  ask({
    title: t("group.remove"),
    names: [group.name],
    danger: true,
    label: t("remove"),
    run: () => change(t("remove.of", { name: group.name }), () => call("network", "DELETE", `/security-groups/${group.id}`)),
  });
}

function addRule(group) {
  ask({
    title: t("rule.title", { name: group.name }),
    label: t("rule.add"),
    fields: [
      { name: "protocol", type: "select", label: t("rule.protocol"), value: "tcp", options: [["tcp", "TCP"], ["udp", "UDP"], ["icmp", "ICMP"], ["", t("rule.any")]] },
      { name: "port", label: t("rule.which"), hint: t("rule.which.hint") },
      { name: "source", label: t("rule.source"), hint: t("rule.source.hint") },
    ],
    run: ({ protocol, port, source }) => {
      const [first, last = first] = port.split("-").map((each) => each.trim()).filter(Boolean).map(Number);
      const rule = { security_group_id: group.id, direction: "ingress", ethertype: source.includes(":") ? "IPv6" : "IPv4" };
      if (protocol) rule.protocol = protocol;
      if (first !== undefined) [rule.port_range_min, rule.port_range_max] = [first, last];
      if (source.trim()) rule.remote_ip_prefix = source.trim();
      change(t("rule.doing", { name: group.name }), () => call("network", "POST", "/security-group-rules", { security_group_rule: rule }));
    },
  });
}
