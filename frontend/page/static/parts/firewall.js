// A machine's firewall: one of the modes, with what each lets in; and likewise that of each of its connections.
import { call } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { soon } from "../live.js";
import { doing } from "../notices.js";
import { groups, named, networks, ports } from "../stores.js";
import { t } from "../words.js";
import { Waiting } from "./waiting.js";

export function Firewall({ of }) {
  const [wish, set] = useState(null); // what was just chosen: shown at once, until the machine says what it has
  const now = (of.security_groups || []).map((each) => each.name);
  useEffect(() => set(null), [now.join()]);
  groups.want();
  const all = groups.value.value;
  if (!all) return html`<${Waiting} of=${groups} />`;
  const shown = wish ?? (now.length > 1 ? undefined : now[0] || "");
  const pick = async (name) => {
    set(name);
    if (!(await choose(of, now, name))) set(null);
  };
  return html`<${Modes} name="firewall" legend=${t("firewall.mode")} all=${all} shown=${shown} pick=${pick} />
    ${now.length > 1 && html`<p class="hint">${t("firewall.several", { names: now.join(", ") })}</p>`}`;
}

/** The modes of each of a machine's connections. */
export function Connections({ of }) {
  groups.want();
  useEffect(() => {
    ports.load();
  }, [of]);
  const [all, lines] = [groups.value.value, (ports.value.value || []).filter((each) => each.device_id === of.id)];
  if (!all) return html`<${Waiting} of=${groups} />`;
  if (!ports.value.value) return html`<${Waiting} of=${ports} />`;
  if (!lines.length) return html`<p class="empty">${t("machine.nonics")}</p>`;
  return html`<p class="hint">${t("firewall.ports.words")}</p>
    ${lines.map((each) => html`<${Port} key=${each.id} of=${each} all=${all} />`)}`;
}

const INHERITED = null; // in the place of a mode's name: whatever the machine has

/** All modes, one of which is chosen, with what each lets in; `more` come before them. `shown`: the name of that which is; undefined: none of them alone. */
function Modes({ name, legend, all, shown, pick, more = [] }) {
  const closed = ["", t("firewall.closed"), t("firewall.closed.rules"), []];
  const modes = all.map((each) => [each.name, each.name, each.description, each.security_group_rules]);
  return html`<fieldset class="modes">
    <legend>${legend}</legend>
    ${[...more, ...modes, closed].map(
      ([key, title, words, rules]) => html`<div key=${key ?? undefined} class="mode">
        <label class="choice"
          ><input type="radio" name=${name} checked=${key === shown} onChange=${() => pick(key)} />
          <strong><bdi>${title}</bdi></strong></label
        >
        <p class="hint">${words}</p>
        ${rules.length > 0 && html`<details><summary>${t("firewall.rules")}</summary><${Rules} of=${rules} /></details>`}
      </div>`,
    )}
  </fieldset>`;
}

/** One connection of the machine's, which may have a mode of its own. */
function Port({ of, all }) {
  const [wish, set] = useState(undefined);
  const has = of.security_groups.map((id) => all.find((each) => each.id === id)?.name || id);
  const own = of.own_security_groups;
  useEffect(() => set(undefined), [own, has.join()]);
  const where = t("firewall.port", { network: named(networks, of.network_id), address: of.fixed_ips[0]?.ip_address || of.mac_address });
  if (!of.port_security_enabled) return html`<p><strong><bdi>${where}</bdi></strong></p><p class="hint">${t("firewall.unjudged")}</p>`;
  const pick = async (name) => {
    set(name);
    const groups = name === INHERITED ? null : name ? [all.find((each) => each.name === name).id] : [];
    const went = await doing(t("firewall.doing", { name: where }), () => call("network", "PUT", `/ports/${of.id}`, { port: { security_groups: groups } }));
    await ports.load();
    soon();
    if (!went) set(undefined);
  };
  const chosen = own ? (has.length > 1 ? undefined : has[0] || "") : INHERITED;
  const names = has.join(", ") || t("firewall.closed");
  const inherited = [INHERITED, t("firewall.inherited"), t("firewall.inherited.rules"), []];
  return html`<details class="port">
    <summary><bdi>${where}</bdi>: <strong><bdi>${own ? names : t("firewall.inherited.now", { names })}</bdi></strong></summary>
    <${Modes} name=${`firewall-${of.id}`} legend=${t("firewall.port.mode", { where })} all=${all} shown=${wish === undefined ? chosen : wish} pick=${pick} more=${[inherited]} />
  </details>`;
}

/** The new one first: in between both let in what they let in, and nothing that may go on is cut off. */
async function choose(machine, now, name) {
  const act = (verb, group) => call("compute", "POST", `/servers/${machine.id}/action`, { [verb]: { name: group } });
  const went = await doing(t("firewall.doing", { name: machine.name }), async () => {
    if (name && !now.includes(name)) await act("addSecurityGroup", name);
    for (const each of now) if (each !== name) await act("removeSecurityGroup", each);
  });
  soon();
  ports.load();
  return went;
}

export function Rules({ of, remove }) {
  return html`<ul class="rules">
    ${of.map(
      (rule) => html`<li key=${rule.id}>
        <span>${sentence(rule)}</span>
        ${remove && html`<button type="button" aria-label=${t("act.of", { action: t("remove"), name: sentence(rule) })} onClick=${() => remove(rule)}>${t("remove")}</button>`}
      </li>`,
    )}
  </ul>`;
}

/** What a rule is about besides the protocol: of ICMP the type, and no port. */
function about(rule, first, last) {
  if (first === null) return "";
  if (/icmp/i.test(rule.protocol)) return t("rule.type", { n: first });
  return first === last ? t("rule.port", { n: first }) : t("rule.ports", { first, last });
}

/** A rule in plain words. */
export function sentence(rule) {
  const [first, last] = [rule.port_range_min, rule.port_range_max];
  const what = rule.protocol ? rule.protocol.toUpperCase() : t("rule.any");
  const where = about(rule, first ?? null, last ?? null);
  const source = rule.remote_group_id ? (groups.value.value || []).find((each) => each.id === rule.remote_group_id)?.name || rule.remote_group_id : rule.remote_ip_prefix || t("rule.anywhere");
  return t(`rule.${rule.direction}`, { what, where, source, family: rule.ethertype }).replace(/ +/g, " ");
}
