// What the browser keeps from one visit to the next: language and looks, nothing of the account.
import { effect, signal } from "./html.js";

/** A signal whose text is kept under a name; `first` where there is none, or where the browser keeps nothing. */
export function kept(name, first) {
  let found = null;
  try {
    found = localStorage.getItem(name);
  } catch {
    // Storage is switched off: then it lasts as long as the page.
  }
  const value = signal(found ?? first);
  effect(() => {
    const text = value.value;
    try {
      localStorage.setItem(name, text);
    } catch {
      // As above.
    }
  });
  return value;
}
