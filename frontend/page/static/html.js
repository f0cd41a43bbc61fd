// What every component needs, from one place.
import { Fragment, h } from "./lib/preact.js";
import htm from "./lib/htm.js";

export { Fragment, h, render } from "./lib/preact.js";
export { useEffect, useRef, useState } from "./lib/hooks.js";
export { computed, effect, signal } from "./lib/signals.js";

export const html = htm.bind(h);
