// Which view is shown: the part of the address after #, of which no server hears.
import { signal } from "./html.js";

const read = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** [view, id ...] */
export const route = signal(read());

addEventListener("hashchange", () => {
  route.value = read();
});

export const link = (...words) => `#/${words.map(encodeURIComponent).join("/")}`;

export function go(...words) {
  location.hash = link(...words);
}
