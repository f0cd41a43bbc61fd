// The one question that waits for the person's yes: the confirm bar shows it.
import { signal } from "./html.js";

/**
 * {title, names, note, fields, danger, label, run} or null.
 * names: what will be affected; fields: [{name, label, type, value, options, required, hint}]; run: gets their values.
 */
export const asked = signal(null);

let opener = null;

export function ask(question) {
  opener = document.activeElement;
  asked.value = { names: [], fields: [], ...question };
}

/** The keyboard is where it was before. */
export function close() {
  asked.value = null;
  if (opener?.isConnected) opener.focus();
  else document.querySelector("main")?.focus();
}
