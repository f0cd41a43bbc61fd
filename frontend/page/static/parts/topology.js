// The drawing: networks as lines across, machines hanging between them, to be dragged onto others. The lists below it
// say the same in words, and their buttons do the same.
import { html, useState } from "../html.js";
import { t } from "../words.js";

const [ROW, COLUMN, LEFT, MOST] = [64, 120, 150, 40];

/** A name in a box, cut where the box ends: SVG alone cannot. */
function Label({ name, ...box }) {
  return html`<foreignObject ...${box} height="32"><div class="label"><bdi>${name}</bdi></div></foreignObject>`;
}

/** `all`: the machines; `may(machine, network)`: whether it can be connected; `connect(machine, network)`: it was dropped there. */
export function Topology({ networks, on, all, may, connect }) {
  const [drag, move] = useState(null); // {id, from, by, over}: pixels
  const columns = [];
  const places = new Map();
  for (const network of networks) {
    for (const { machine } of on.get(network.id) || []) {
      if (!places.has(machine.id) && columns.length < MOST) {
        places.set(machine.id, columns.length);
        columns.push(machine);
      }
    }
  }
  for (const machine of all) {
    if (places.has(machine.id) || columns.length >= MOST) continue;
    places.set(machine.id, columns.length);
    columns.push(machine);
  }
  const lines = networks.map((each, n) => ({ each, y: 34 + n * ROW }));
  const bottom = 34 + networks.length * ROW;
  const width = LEFT + Math.max(1, columns.length) * COLUMN;
  const x = (n) => LEFT + n * COLUMN + COLUMN / 2;
  const taken = (machine) => ({
    onPointerDown: (event) => {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      move({ id: machine.id, from: [event.clientX, event.clientY], by: [0, 0], over: null });
    },
    onPointerMove: (event) => {
      if (drag?.id !== machine.id) return;
      const y = event.clientY - event.currentTarget.ownerSVGElement.getBoundingClientRect().top;
      const over = lines.find((one) => Math.abs(one.y - y) < ROW / 2 && may(machine, one.each));
      move({ ...drag, by: [event.clientX - drag.from[0], event.clientY - drag.from[1]], over: over?.each.id || null });
    },
    onPointerUp: () => {
      const onto = drag?.id === machine.id && networks.find((each) => each.id === drag.over);
      move(null);
      if (onto) connect(machine, onto);
    },
    onPointerCancel: () => move(null),
  });
  const by = (machine) => (drag?.id === machine.id ? `translate(${drag.by.join(" ")})` : undefined);
  return html`<p class="hint">${t("topology.drag")}</p>
    <div class="drawing" tabindex="0" role="region" aria-label=${t("topology")}>
    <svg role="img" aria-label=${t("topology.words", { networks: networks.length, machines: columns.length })} width=${width} height=${bottom + 40} viewBox="0 0 ${width} ${bottom + 40}">
      ${lines.map(
        ({ each, y }) => html`<g key=${each.id} class="net ${drag?.over === each.id ? "over" : ""}">
          <title>${each.name}</title>
          <${Label} name=${each.name} x="0" y=${y - 16} width=${LEFT - 20} />
          <line x1=${LEFT - 8} x2=${width - 8} y1=${y} y2=${y} />
          ${(on.get(each.id) || [])
            .filter(({ machine }) => places.has(machine.id))
            .map(({ machine, port }) => html`<line key=${port.id} class="wire" x1=${x(places.get(machine.id))} x2=${x(places.get(machine.id))} y1=${y} y2=${bottom} /><circle cx=${x(places.get(machine.id))} cy=${y} r="6" />`)}
        </g>`,
      )}
      ${columns.map(
        (machine, n) => html`<g key=${machine.id} class="box ${machine.status === "ACTIVE" ? "on" : ""}" transform=${by(machine)} ...${taken(machine)}>
          <title>${machine.name}</title>
          <rect x=${x(n) - COLUMN / 2 + 6} y=${bottom} width=${COLUMN - 12} height="32" rx="6" />
          <${Label} name=${machine.name} x=${x(n) - COLUMN / 2 + 12} y=${bottom} width=${COLUMN - 24} />
        </g>`,
      )}
    </svg>
  </div>`;
}
