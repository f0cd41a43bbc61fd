// A machine's firewall: one of the modes, with what each lets in.
import { call } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { soon } from "../live.js";
import { doing } from "../notices.js";
import { groups } from "../stores.js";
import { t } from "../words.js";
import { Waiting } from "./waiting.js";

export function Firewall({ of }) {
  const [wish, set] = useState(null); // what was just chosen: shown at once, until the machine says what it has
  const now = (of.security_groups || []).map((each) => each.name);
  useEffect(() => set(null), [now.join()]);
  groups.want();
  const all = groups.value.value;
  if (!all) return html`<${Waiting} of=${groups} />`;
  const shown = wish ?? (now.length > 1 ? null : now[0] || "");
  const pick = async (name) => {
    set(name);
    if (!(await choose(of, now, name))) set(null);
  };
  const closed = [["", t("firewall.closed"), t("firewall.closed.rules"), []]];
  const modes = all.map((each) => [each.name, each.name, each.description, each.security_group_rules]);
  return html`<fieldset class="modes">
    <legend>${t("firewall.mode")}</legend>
    ${[...modes, ...closed].map(
      ([name, title, words, rules]) => html`<div key=${name} class="mode">
        <label class="choice"
          ><input type="radio" name="firewall" value=${name} checked=${name === shown} onChange=${() => pick(name)} />
          <strong><bdi>${title}</bdi></strong></label
        >
        <p class="hint">${words}</p>
        ${rules.length > 0 && html`<details><summary>${t("firewall.rules")}</summary><${Rules} of=${rules} /></details>`}
      </div>`,
    )}
    ${now.length > 1 && html`<p class="hint">${t("firewall.several", { names: now.join(", ") })}</p>`}
  </fieldset>`;
}

/** The new one first: in between both let in what they let in, and nothing that may go on is cut off. */
async function choose(machine, now, name) {
  const act = (verb, group) => call("compute", "POST", `/servers/${machine.id}/action`, { [verb]: { name: group } });
  const went = await doing(t("firewall.doing", { name: machine.name }), async () => {
    if (name && !now.includes(name)) await act("addSecurityGroup", name);
    for (const each of now) if (each !== name) await act("removeSecurityGroup", each);
  });
  soon();
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
function ports(rule, first, last) {
  if (first === null) return "";
  if (/icmp/i.test(rule.protocol)) return t("rule.type", { n: first });
  return first === last ? t("rule.port", { n: first }) : t("rule.ports", { first, last });
}

/** A rule in plain words. */
export function sentence(rule) {
  const [first, last] = [rule.port_range_min, rule.port_range_max];
  const what = rule.protocol ? rule.protocol.toUpperCase() : t("rule.any");
  const where = ports(rule, first ?? null, last ?? null);
  const source = rule.remote_group_id ? (groups.value.value || []).find((each) => each.id === rule.remote_group_id)?.name || rule.remote_group_id : rule.remote_ip_prefix || t("rule.anywhere");
  return t(`rule.${rule.direction}`, { what, where, source, family: rule.ethertype }).replace(/ +/g, " ");
}
