// What the page tells of what was asked: that it goes on, that it is done, or why not and what to do next.
import { signal } from "./html.js";
import { t } from "./words.js";

/** {id, kind: "busy" | "good" | "bad", text, next, action} */
export const notices = signal([]);

const READ = 10000; // milliseconds after which good news goes by itself; bad news stays

let count = 0;

const pass = (id, kind) => kind === "good" && setTimeout(() => dismiss(id), READ);

export function tell(kind, text, more = {}) {
  const id = ++count;
  notices.value = [...notices.value.slice(-4), { id, kind, text, ...more }];
  pass(id, kind);
  return id;
}

/** Say something else in its place. */
export function retell(id, kind, text, more = {}) {
  if (!notices.value.some((each) => each.id === id)) return tell(kind, text, more);
  notices.value = notices.value.map((each) => (each.id === id ? { id, kind, text, ...more } : each));
  pass(id, kind);
  return id;
}

export function dismiss(id) {
  notices.value = notices.value.filter((each) => each.id !== id);
}

/** Words of what went wrong: as the API gave them. */
export const wrong = (err) => err.message || t(err.status === 0 ? "error.unreachable" : "error.none");

/** What to do about it. */
export function advice(err) {
  if (err.status === 429 && err.wait) return t("advice.wait", { n: err.wait });
  const known = [0, 400, 401, 403, 404, 409, 413, 429];
  const words = t(`advice.${known.includes(err.status) ? err.status : err.status >= 500 ? 500 : 400}`);
  return err.request ? `${words} ${t("advice.request", { id: err.request })}` : words;
}

/** Tell of an error, in the place of another notice if there is one. */
export function fail(err, what, id = 0) {
  return retell(id, "bad", t("notice.failed", { what, why: wrong(err) }), { next: advice(err) });
}

/** That the person has stopped it. */
export class Stopped extends Error {}

/**
 * Do something that the person asked for: acknowledged at once, and followed to its end. True: it went well.
 * work: may tell how far it is, in percent, and how it is stopped.
 */
export async function doing(what, work) {
  const text = t("notice.doing", { what });
  const id = tell("busy", text);
  try {
    await work((share, stop) => retell(id, "busy", text, { share, action: { label: t("notice.stop"), run: stop } }));
    retell(id, "good", t("notice.done", { what }));
    return true;
  } catch (err) {
    if (err instanceof Stopped) retell(id, "good", t("notice.stopped", { what }));
    else fail(err, what, id);
    return false;
  }
}
