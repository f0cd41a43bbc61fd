// What a machine did in each step of time, made of counters that are measured about once a minute. Pure: no clock, no page.

const LONGEST = 600000; // milliseconds between two measurements; in a longer time nothing was measured, which is a gap
const COUNTERS = ["cpu_ns", "received", "sent", "read", "written"];

/** Measurements of both, each once, the oldest first, without those from before a time (milliseconds). */
export function merged(known, found, from) {
  const all = new Map([...known, ...found].map((each) => [Date.parse(each.at), each]));
  return [...all].filter(([at]) => at >= from).sort(([a], [b]) => a - b).map(([, each]) => each);
}

/**
 * Of each step of time, `count` of `step` milliseconds from `from` on: {at, cpu_ns, received, sent, read, written,
 * memory_kib}, what grew in a second, and of memory what there was; null where nothing is known.
 *
 * samples: as `diagnostics` of the API has them, the oldest first. Of two whose counters began at different times (a
 * restart, another node), nothing is said of what was between them, nor where a counter went back.
 */
export function rates(samples, { from, step, count }) {
  const steps = Array.from({ length: count }, (_, n) => ({ at: from + n * step, sums: {} }));
  for (let n = 1; n < samples.length; n += 1) spread(steps, samples[n - 1], samples[n], step);
  const known = ({ sums }) => [...COUNTERS, "memory_kib"].map((key) => [key, key in sums ? sums[key].amount / sums[key].time : null]);
  return steps.map((each) => ({ at: each.at, ...Object.fromEntries(known(each)) }));
}

/** What was between two measurements, put to the steps in which it was: to each as much as is its share of the time. */
function spread(steps, before, after, step) {
  const [start, end] = [Date.parse(before.at), Date.parse(after.at)];
  if (before.began !== after.began || !(end > start) || end - start > LONGEST) return;
  const grown = COUNTERS.map((key) => [key, ((after[key] - before[key]) / (end - start)) * 1000]);
  const amounts = [...grown.filter(([, by]) => by >= 0), ["memory_kib", after.memory_kib]];
  for (const each of steps.slice(Math.max(0, Math.floor((start - steps[0].at) / step)))) {
    if (each.at >= end) return;
    const part = Math.min(end, each.at + step) - Math.max(start, each.at);
    for (const [key, amount] of amounts) {
      const sum = (each.sums[key] ??= { amount: 0, time: 0 });
      sum.amount += amount * part;
      sum.time += part;
    }
  }
}

/** Means of so many values at a time; null where there are none. */
export function folded(values, by) {
  return Array.from({ length: Math.ceil(values.length / by) }, (_, n) => mean(values.slice(n * by, (n + 1) * by)));
}

export function mean(values) {
  const known = values.filter((each) => each !== null);
  return known.length ? known.reduce((sum, each) => sum + each, 0) / known.length : null;
}

/** Where a line is drawn without a break: [{start, values}], start: the first one's number. */
export function runs(values) {
  const found = [];
  values.forEach((value, n) => {
    if (value === null) return;
    if (n > 0 && values[n - 1] !== null) found.at(-1).values.push(value);
    else found.push({ start: n, values: [value] });
  });
  return found;
}

/** The least of 1, 2, 5, 10, 20 ... that is no less: where an axis ends. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= value * 0.999999);
}

/** Which of the SI's prefixes an axis up to this has: [letter, what one of it is]. */
export function prefix(most) {
  return [["G", 1e9], ["M", 1e6], ["k", 1e3]].find(([, one]) => most >= one) || ["", 1];
}
