// How a machine, a volume or an image is: a sign and a word, never a colour alone.
import { html } from "../html.js";
import { known } from "../words.js";

const KINDS = {
  good: ["ACTIVE", "active", "available", "in-use", "accepted"],
  off: ["SHUTOFF", "deactivated", "queued", "reserved"],
  bad: ["ERROR", "error", "killed", "UNKNOWN", "DELETED"],
};

export function Status({ of, task }) {
  const kind = task ? "busy" : Object.keys(KINDS).find((each) => KINDS[each].includes(of)) || "busy";
  const sign = { good: "●", off: "○", bad: "▲", busy: "◐" }[kind];
  const words = task ? known(`task.${task}`, task) : known(`status.${of}`, of);
  return html`<span class="status ${kind}"><span aria-hidden="true">${sign}</span> ${words}</span>`;
}
