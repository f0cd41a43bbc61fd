// The machines as they are: read once, and then what has changed since, often while something goes on.
import { list, session } from "./api.js";
import { computed, signal } from "./html.js";

const BUSY = 2000; // milliseconds
const IDLE = 10000;
const OVERLAP = 5000; // the server's clock tells whole seconds, and a transaction may end after it was read

/** By id, newest first; null: not read yet. */
export const machines = signal(null);
export const fault = signal(null);
/** Ids of machines of which something was asked that has not been seen to end. */
export const awaited = signal(new Map());
export const busy = computed(
  () => awaited.value.size > 0 || [...(machines.value?.values() || [])].some((each) => task(each)),
);

let since = null;
let timer = null;
let turn = 0;
let ahead = 0; // milliseconds that the server's clock is ahead of this one
const listeners = new Set();

export const task = (machine) => machine["OS-EXT-STS:task_state"] || (machine.status === "BUILD" ? "building" : null);

/** What the server's clock tells, in milliseconds. */
export const clock = () => Date.now() + ahead;

/** Be told of all that has changed, at each reading: a map by id of machines, those that are gone with status DELETED. */
export const onChange = (listener) => listeners.add(listener);

export function begin() {
  stop();
  poll();
}

export function stop() {
  turn += 1;
  clearTimeout(timer);
  since = timer = null;
  [machines.value, fault.value, awaited.value] = [null, null, new Map()];
}

/** Read now: something was asked for. */
export function soon() {
  clearTimeout(timer);
  if (session.value) timer = setTimeout(poll, 150);
}

async function poll() {
  const mine = turn;
  clearTimeout(timer);
  try {
    await read(mine);
    if (mine === turn) fault.value = null;
  } catch (err) {
    if (mine === turn) fault.value = err;
  }
  if (mine !== turn || !session.value) return;
  if (!document.hidden) timer = setTimeout(poll, busy.value ? BUSY : IDLE);
}

async function read(mine) {
  let now = null;
  const told = (headers) => (now ??= Date.parse(headers.get("Date")) || Date.now());
  const query = since === null ? "" : `?changes-since=${new Date(since).toISOString().slice(0, 19)}Z`;
  const found = await list("compute", `/servers/detail${query}`, "servers", told);
  if (mine !== turn) return;
  const changed = merge(found, since === null);
  since = now - OVERLAP;
  ahead = now - Date.now();
  for (const listener of listeners) listener(changed);
}

function merge(found, whole) {
  const before = machines.value || new Map();
  const after = whole ? new Map() : new Map(before);
  let differs = whole;
  for (const each of found) {
    const old = before.get(each.id);
    if (each.status === "DELETED") differs = after.delete(each.id) || differs;
    else if (!old || JSON.stringify(old) !== JSON.stringify(each)) {
      after.set(each.id, each);
      differs = true;
    }
  }
  if (differs) machines.value = new Map([...after].sort(([, a], [, b]) => b.created.localeCompare(a.created)));
  return new Map(found.map((each) => [each.id, each]));
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && session.value) soon();
});
