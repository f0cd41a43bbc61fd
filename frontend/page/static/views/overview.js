// What the project has, may have and has used.
import { html, useEffect, useState } from "../html.js";
import { machines } from "../live.js";
import { Bar } from "../parts/bar.js";
import { Field } from "../parts/field.js";
import { Plot } from "../parts/plot.js";
import { Status } from "../parts/status.js";
import { Waiting } from "../parts/waiting.js";
import { link } from "../route.js";
import { credits, daily, limits, networkQuota, usage, volumeLimits } from "../stores.js";
import { mebibytes, number, t, when } from "../words.js";

const MEASURES = ["cores", "hours", "ram", "disk"];
const NETWORK = ["network", "port", "floatingip", "security_group"];

export function Overview() {
  const count = machines.value?.size;
  useEffect(() => {
    for (const each of [limits, volumeLimits, networkQuota, usage, credits, daily]) each.load();
  }, [count]);
  return html`<h1>${t("view.overview")}</h1>
    <div class="panels">
      <section class="panel"><h2>${t("overview.machines")}</h2><${Counts} /></section>
      <section class="panel"><h2>${t("overview.compute")}</h2><${Compute} /></section>
      <section class="panel"><h2>${t("overview.storage")}</h2><${Storage} /></section>
      <section class="panel"><h2>${t("overview.network")}</h2><${Network} /></section>
      <section class="panel"><h2>${t("overview.usage")}</h2><${Used} /></section>
      <section class="panel wide"><h2>${t("overview.daily")}</h2><${Daily} /></section>
    </div>`;
}

function Counts() {
  const all = [...(machines.value?.values() || [])];
  const states = [...new Set(all.map((each) => each.status))].sort();
  return html`${all.length === 0
      ? html`<p>${t("overview.empty")}</p>`
      : html`<ul class="counts">
          ${states.map((each) => html`<li><${Status} of=${each} /> <strong>${number(all.filter((one) => one.status === each).length)}</strong></li>`)}
        </ul>`}
    <p class="buttons"><a class="button main" href=${link("create")}>${t("create.open")}</a> <a class="button" href=${link("machines")}>${t("view.machines")}</a></p>`;
}

function Compute() {
  const has = limits.value.value;
  if (!has) return html`<${Waiting} of=${limits} />`;
  return html`<${Bar} label=${t("quota.servers")} used=${has.totalInstancesUsed} limit=${has.maxTotalInstances} />
    <${Bar} label=${t("quota.cores")} used=${has.totalCoresUsed} limit=${has.maxTotalCores} />
    <${Bar} label=${t("quota.ram")} used=${has.totalRAMUsed} limit=${has.maxTotalRAMSize} show=${mebibytes} />`;
}

function Storage() {
  const has = volumeLimits.value.value;
  if (!has) return html`<${Waiting} of=${volumeLimits} />`;
  return html`<${Bar} label=${t("quota.volumes")} used=${has.totalVolumesUsed} limit=${has.maxTotalVolumes} />
    <${Bar} label=${t("quota.gigabytes")} used=${has.totalGigabytesUsed} limit=${has.maxTotalVolumeGigabytes} />
    <${Bar} label=${t("quota.snapshots")} used=${has.totalSnapshotsUsed} limit=${has.maxTotalSnapshots} />`;
}

function Network() {
  const has = networkQuota.value.value;
  if (!has) return html`<${Waiting} of=${networkQuota} />`;
  return NETWORK.filter((each) => has[each]).map(
    (each) => html`<${Bar} key=${each} label=${t(`quota.${each}`)} used=${has[each].used} limit=${has[each].limit} />`,
  );
}

function Used() {
  const [sums, money] = [usage.value.value, credits.value.value];
  if (!sums) return html`<${Waiting} of=${usage} />`;
  if (!money) return html`<${Waiting} of=${credits} />`;
  return html`${money.credits !== null && html`<${Bar} label=${t("credits.used")} used=${money.used} limit=${money.credits} show=${(n) => number(n, 2)} />`}
    <dl class="facts">
      ${money.credits !== null && html`<dt>${t("credits.since")}</dt><dd>${when(new Date(money.since * 1000).toISOString())}</dd>`}
      ${money.per_hour > 0 && html`<dt>${t("credits.hour")}</dt><dd>${number(money.per_hour, 3)}</dd>`}
      <dt>${t("usage.hours")}</dt><dd>${number(sums.total_hours || 0, 1)}</dd>
      <dt>${t("usage.cores")}</dt><dd>${number(sums.total_vcpus_usage || 0, 1)}</dd>
      <dt>${t("usage.ram")}</dt><dd>${number((sums.total_memory_mb_usage || 0) / 1024, 1)}</dd>
    </dl>`;
}

function Daily() {
  const [shown, show] = useState("cores");
  const days = daily.value.value;
  if (!days) return html`<${Waiting} of=${daily} />`;
  return html`<${Field} name="measure" type="select" label=${t("plot.measure")} value=${shown} onInput=${show} options=${MEASURES.map((each) => [each, t(`usage.${each}`)])} />
    <${Plot} what=${t(`usage.${shown}`)} days=${days.map((each) => ({ day: each.day, value: each[shown] }))} />`;
}
