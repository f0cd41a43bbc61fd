// What a machine has used of late: its processors, memory, network and disks, followed while one looks.
import { get } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { kept } from "../kept.js";
import { clock } from "../live.js";
import { ceiling, merged, prefix, rates } from "../rates.js";
import { t } from "../words.js";
import { Field } from "./field.js";
import { useFlavor } from "./flavor.js";
import { Curves } from "./plot.js";
import { Waiting } from "./waiting.js";

const MINUTE = 60000; // milliseconds
// How long a step is, how many there are, how many are a row of the table, and which minutes of the day are written.
const SPANS = {
  hour: { step: MINUTE, count: 60, fold: 5, marks: 15 },
  day: { step: 15 * MINUTE, count: 96, fold: 4, marks: 360 },
};
const OLDEST = 26 * 60 * MINUTE; // of what is kept
const FOLLOW = MINUTE / 2; // a measurement comes each minute
const LEAST = 1000; // bit/s, octets/s: an axis ends no lower

const shown = kept("span", "hour");
const stamp = (at) => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** {samples, now, fault, load}: measurements from a span before the server's `now` on; null: not read yet. */
function useMeasured(id, span) {
  const [state, set] = useState({ samples: null, fault: null, now: clock() });
  const has = useRef({ samples: [], from: Infinity, turn: 0, read: 0 });
  const load = async () => {
    const [one, now] = [has.current, clock()];
    const from = now - (span.count + 2) * span.step; // the line begins at the edge
    const mine = ++one.turn;
    one.read = Date.now();
    try {
      const last = from < one.from ? undefined : one.samples.at(-1);
      const found = await measured(id, last ? Date.parse(last.at) : from);
      if (mine !== one.turn) return;
      one.samples = merged(one.samples, found, now - OLDEST);
      one.from = Math.min(one.from, from);
      set({ samples: one.samples, fault: null, now });
    } catch (err) {
      if (mine === one.turn) set((before) => ({ ...before, fault: err }));
    }
  };
  useEffect(() => {
    let timer = null;
    const follow = () => {
      clearTimeout(timer);
      if (document.hidden) return;
      if (Date.now() >= has.current.read + FOLLOW) load();
      timer = setTimeout(follow, has.current.read + FOLLOW - Date.now());
    };
    load();
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      has.current.turn += 1;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", follow);
    };
  }, [id, span]);
  return { ...state, fault: { value: state.fault }, load };
}

/** What was measured since. */
async function measured(id, since) {
  try {
    return (await get("compute", `/servers/${id}/diagnostics?since=${stamp(since)}`)).samples;
  } catch (err) {
    if (err.status === 409) return []; // it does not run, and nothing was measured
    throw err;
  }
}

export function Load({ of }) {
  const span = SPANS[shown.value] || SPANS.hour;
  const read = useMeasured(of.id, span);
  const size = useFlavor(of);
  if (read.samples === null && read.fault.value) return html`<${Waiting} of=${read} />`;
  const end = Math.ceil(read.now / span.step) * span.step;
  const steps = rates(read.samples || [], { ...span, from: end - span.count * span.step });
  const known = steps.some((each) => each.memory_kib !== null);
  const runs = of.status === "ACTIVE";
  const plots = [processors(steps, size?.vcpus), network(steps), disks(steps), memory(steps, size?.ram)];
  return html`<div class="tools">
      <${Field} name="span" type="select" label=${t("plot.measure")} value=${shown.value} onInput=${(value) => (shown.value = value)} options=${Object.keys(SPANS).map((each) => [each, t(`load.span.${each}`)])} />
      <p class="hint">${said(known, read.samples, runs)}</p>
    </div>
    ${(known || runs) && html`<div class="plots">${plots.map((each) => html`<${Curves} key=${each.key} ...${span} times=${steps.map(({ at }) => at)} ...${each} />`)}</div>`}`;
}

function said(known, samples, runs) {
  if (known) return t("load.words");
  if (samples === null) return t("waiting");
  return t(runs ? "load.none" : "load.off");
}

const values = (steps, key, by) => steps.map((each) => each[key] && each[key] * by);

/** How many cores it has is not known at once: nothing is drawn until then. */
function processors(steps, cores) {
  const curves = [{ name: t("load.cpu.used"), values: cores ? values(steps, "cpu_ns", 100 / cores / 1e9) : steps.map(() => null) }];
  return { key: "cpu", what: t("load.cpu"), curves, top: 100 };
}

/** What of it is in the node's memory, which a guest that has used it may keep. As the machine's own size, in MiB, is told: in MiB, or in GiB from one on. */
function memory(steps, size = 1) {
  const one = size >= 1024 ? 1024 : 1;
  const curves = [{ name: t("load.memory.held"), values: values(steps, "memory_kib", 1 / 1024 / one) }];
  return { key: "memory", what: t(one > 1 ? "load.gib" : "load.mib"), curves, top: size / one };
}

const network = (steps) => pair(steps, "network", ["received", "sent"], 8);
const disks = (steps) => pair(steps, "disk", ["read", "written"], 1);

function pair(steps, key, both, by) {
  const found = both.map((each) => values(steps, each, by));
  const top = ceiling(Math.max(LEAST, ...found.flat()));
  const [letter, one] = prefix(top);
  const curves = both.map((each, n) => ({ name: t(`load.${each}`), values: found[n].map((value) => value && value / one) }));
  return { key, what: t(`load.${key}`, { unit: t(`load.${key}.unit`, { prefix: letter }) }), curves, top: top / one };
}
