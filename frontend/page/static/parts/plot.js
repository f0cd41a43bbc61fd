// Bars over days: drawn for who sees, told in a sentence and a table for everybody.
import { html } from "../html.js";
import { number, t } from "../words.js";

const [HEIGHT, FOOT, HEAD, AXIS] = [190, 22, 16, 56]; // pixels
const SPARE = 0.2; // of a bar's place

/** The least of 1, 2, 5, 10, 20 ... that is no less: where the axis ends. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= value * 0.999999);
}

const dated = (day, how) => new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: "UTC", ...how }).format(new Date(day));
const long = (day) => dated(day, { day: "numeric", month: "short" });

/** `days`: [{day, value}], the first one first; day: its begin as the page's clock tells it, in milliseconds of UTC. */
export function Plot({ what, days }) {
  const values = days.map((each) => each.value);
  const [most, sum] = [Math.max(...values), values.reduce((all, each) => all + each, 0)];
  const top = ceiling(most);
  const y = (value) => HEAD + (HEIGHT - HEAD - FOOT) * (1 - value / top);
  const place = 100 / days.length; // percent: as wide as there is room
  const at = days[values.indexOf(most)];
  const words = { what, first: long(days[0].day), last: long(days.at(-1).day), sum: number(sum, 1), most: number(most, 1), day: long(at.day) };
  const marks = [0, top / 2, top];
  return html`<div class="plot" role="img" aria-label=${t("plot.words", words)}>
      <svg class="axis" aria-hidden="true" width=${AXIS} height=${HEIGHT}>
        ${marks.map((each) => html`<text key=${each} x=${AXIS - 6} y=${y(each) + 4} text-anchor="end">${number(each, 2)}</text>`)}
      </svg>
      <svg aria-hidden="true" width="100%" height=${HEIGHT}>
        ${marks.map((each) => html`<line key=${each} x1="0" x2="100%" y1=${y(each)} y2=${y(each)} />`)}
        ${days.map(
          ({ day, value }, n) => html`<g key=${day}>
            <title>${`${long(day)}: ${number(value, 1)}`}</title>
            <rect x="${(n + SPARE / 2) * place}%" y=${y(value)} width="${(1 - SPARE) * place}%" height=${y(0) - y(value)} />
            <text x="${(n + 0.5) * place}%" y=${HEIGHT - 5} text-anchor="middle">${dated(day, { day: "numeric" })}</text>
          </g>`,
        )}
      </svg>
    </div>
    <details class="figures">
      <summary>${t("plot.table")}</summary>
      <table>
        <thead><tr><th scope="col">${t("plot.day")}</th><th scope="col">${what}</th></tr></thead>
        <tbody>${days.map(({ day, value }) => html`<tr key=${day}><th scope="row">${long(day)}</th><td>${number(value, 2)}</td></tr>`)}</tbody>
      </table>
    </details>`;
}
