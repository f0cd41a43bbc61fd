// Bars over days, lines over time: drawn for who sees, told in a sentence and a table for everybody.
import { html } from "../html.js";
import { ceiling, folded, mean, runs } from "../rates.js";
import { number, t } from "../words.js";

const [HEIGHT, FOOT, HEAD, AXIS] = [190, 22, 16, 56]; // pixels
const LOW = 150; // pixels: the height of one of several
const SPARE = 0.2; // of a bar's place
const EDGE = 0.04; // of the width, in which no hour is written
const HALF = 43200000; // milliseconds: of a day

const dated = (day, how) => new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: "UTC", ...how }).format(new Date(day));
const long = (day) => dated(day, { day: "numeric", month: "short" });
const hour = (at, how = {}) => new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...how }).format(new Date(at));

/** The axes; what is drawn in them is told in `words`. top: where the upright one ends; y: how high a value is. */
function Frame({ words, top, y, height, children }) {
  const marks = [0, top / 2, top];
  return html`<div class="plot" role="img" aria-label=${words}>
    <svg class="axis" aria-hidden="true" width=${AXIS} height=${height}>
      ${marks.map((each) => html`<text key=${each} x=${AXIS - 6} y=${y(each) + 4} text-anchor="end">${number(each, 2)}</text>`)}
    </svg>
    <svg aria-hidden="true" width="100%" height=${height}>
      ${marks.map((each) => html`<line key=${each} x1="0" x2="100%" y1=${y(each)} y2=${y(each)} />`)}
      ${children}
    </svg>
  </div>`;
}

/** The same as a table. rows: [[key, words, ...values]], null: nothing is known. */
function Figures({ heads, rows, of }) {
  return html`<details class="figures">
    <summary aria-label=${of && t("act.of", { action: t("plot.table"), name: of })}>${t("plot.table")}</summary>
    <table>
      <thead><tr>${heads.map((each) => html`<th scope="col">${each}</th>`)}</tr></thead>
      <tbody>
        ${rows.map(([key, words, ...values]) => html`<tr key=${key}><th scope="row">${words}</th>${values.map((value) => html`<td>${value === null ? "–" : number(value, 2)}</td>`)}</tr>`)}
      </tbody>
    </table>
  </details>`;
}

const scale = (top, height) => (value) => HEAD + (height - HEAD - FOOT) * (1 - value / top);

/** `days`: [{day, value}], the first one first; day: its begin as the page's clock tells it, in milliseconds of UTC. */
export function Plot({ what, days }) {
  const values = days.map((each) => each.value);
  const [most, sum] = [Math.max(...values), values.reduce((all, each) => all + each, 0)];
  const top = ceiling(most);
  const y = scale(top, HEIGHT);
  const place = 100 / days.length; // percent: as wide as there is room
  const at = days[values.indexOf(most)];
  const words = { what, first: long(days[0].day), last: long(days.at(-1).day), sum: number(sum, 1), most: number(most, 1), day: long(at.day) };
  return html`<${Frame} words=${t("plot.words", words)} top=${top} y=${y} height=${HEIGHT}>
      ${days.map(
        ({ day, value }, n) => html`<g key=${day}>
          <title>${`${long(day)}: ${number(value, 1)}`}</title>
          <rect x="${(n + SPARE / 2) * place}%" y=${y(value)} width="${(1 - SPARE) * place}%" height=${y(0) - y(value)} />
          <text x="${(n + 0.5) * place}%" y=${HEIGHT - 5} text-anchor="middle">${dated(day, { day: "numeric" })}</text>
        </g>`,
      )}
    <//>
    <${Figures} heads=${[t("plot.day"), what]} rows=${days.map(({ day, value }) => [day, long(day), value])} />`;
}

/**
 * Lines over time, in steps of the same length. The first one stands on an area: so they differ by more than a colour.
 *
 * what: its name with its unit; times: when each step begins, in milliseconds; marks: minutes of the day, of which the
 * multiples are written below; curves: [{name, values}], null: a gap; top: where the axis ends at least; fold: how many
 * steps are a row of the table.
 */
export function Curves({ what, times, marks, curves, top, fold }) {
  const [count, step] = [times.length, times[1] - times[0]];
  const end = Math.max(top, ...curves.map(({ values }) => ceiling(Math.max(...values))));
  const y = scale(end, LOW);
  const written = times.filter((at, n) => minutes(at) % marks === 0 && n > count * EDGE && n < count * (1 - EDGE));
  const how = count * step > HALF ? { day: "numeric", month: "short" } : {}; // the same hour may be there twice
  const means = curves.map(({ values }) => folded(values, fold));
  const rows = times.filter((_, n) => n % fold === 0).map((at, n) => [at, hour(at, how), ...means.map((each) => each[n])]);
  return html`<figure class="curves">
    <figcaption>
      <h3>${what}</h3>
      ${curves.length > 1 && html`<ul>${curves.map(({ name }, n) => html`<li class="curve${n}">${name}</li>`)}</ul>`}
    </figcaption>
    <${Frame} words=${told(what, times, curves)} top=${end} y=${y} height=${LOW}>
      ${written.map((at) => html`<text key=${at} x="${((at - times[0]) / step / count) * 100}%" y=${LOW - 5} text-anchor="middle">${hour(at)}</text>`)}
      <svg y=${HEAD} width="100%" height=${LOW - HEAD - FOOT} viewBox="0 0 ${count} 100" preserveAspectRatio="none" overflow="visible">
        ${curves.map(({ values }, n) => html`<${Line} key=${n} of=${values} top=${end} name="curve${n}" area=${n === 0} />`)}
      </svg>
      ${times.map((at, n) => html`<${Readout} key=${at} at=${at} n=${n} count=${count} curves=${curves} />`)}
    <//>
    <${Figures} of=${what} heads=${[t("plot.time"), ...curves.map(({ name }) => name)]} rows=${rows} />
  </figure>`;
}

function minutes(at) {
  const date = new Date(at);
  return date.getHours() * 60 + date.getMinutes();
}

/** In a box of which each step is 1 wide, and the axis 100 high. */
function Line({ of, top, name, area }) {
  const found = runs(of).map(({ start, values }) => {
    const high = values.map((each) => (100 * (1 - each / top)).toFixed(2));
    const middle = high.map((each, n) => `L${start + n + 0.5} ${each}`).join("");
    const [first, last] = [start, start + values.length];
    return { line: `M${first} ${high[0]}${middle}L${last} ${high.at(-1)}`, first, last };
  });
  return html`<g class=${name}>
    ${area && html`<path class="area" d=${found.map((each) => `${each.line}V100H${each.first}Z`).join("")} />`}
    <path d=${found.map((each) => each.line).join("")} vector-effect="non-scaling-stroke" />
  </g>`;
}

/** What there was in a step, for who points at it. */
function Readout({ at, n, count, curves }) {
  const known = curves.filter(({ values }) => values[n] !== null);
  if (!known.length) return null;
  return html`<g class="readout">
    <title>${[hour(at), ...known.map(({ name, values }) => t("plot.value", { name, value: number(values[n], 2) }))].join("\n")}</title>
    <rect x="${(n / count) * 100}%" y=${HEAD} width="${100 / count}%" height=${LOW - HEAD - FOOT} />
  </g>`;
}

function told(what, times, curves) {
  const parts = curves.map(({ name, values }) => {
    const most = Math.max(...values.map((each) => each ?? -1));
    if (most < 0) return t("plot.nothing", { name });
    return t("plot.curve", { name, mean: number(mean(values), 2), most: number(most, 2), at: hour(times[values.indexOf(most)]) });
  });
  return t("plot.curves", { what, first: hour(times[0]), last: hour(2 * times.at(-1) - times.at(-2)), curves: parts.join("; ") });
}
