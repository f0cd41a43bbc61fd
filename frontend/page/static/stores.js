// What was read of the API, by kind: each is loaded when a view first wants it, and again when something was changed.
import { get, list, session } from "./api.js";
import { signal } from "./html.js";

const all = [];

function store(read) {
  const value = signal(null); // null: not yet
  const fault = signal(null);
  let [turn, wanted] = [0, false];
  const made = {
    value,
    fault,
    async load() {
      const mine = ++turn;
      wanted = true;
      try {
        const found = await read();
        if (mine === turn) [value.value, fault.value] = [found, null];
      } catch (err) {
        if (mine === turn) fault.value = err;
      }
    },
    /** Load it unless it is there. */
    want() {
      if (!wanted) made.load();
    },
    forget() {
      turn += 1; // what is on its way is of what was left
      wanted = false;
      [value.value, fault.value] = [null, null];
    },
  };
  all.push(made);
  return made;
}

/** Of another project nothing of this one is to be seen. */
export function forgetAll() {
  for (const each of all) each.forget();
}

const tenant = () => session.value.project.id;

export const flavors = store(async () =>
  (await list("compute", "/flavors/detail", "flavors")).sort((a, b) => a.ram - b.ram || a.vcpus - b.vcpus),
);
export const images = store(() => list("image", "/images?limit=500", "images"));
export const members = store(() => list("image", "/images?visibility=shared&member_status=pending", "images"));
export const networks = store(() => list("network", "/networks", "networks"));
export const subnets = store(() => list("network", "/subnets", "subnets"));
export const ports = store(() => list("network", "/ports", "ports"));
export const groups = store(() => list("network", "/security-groups", "security_groups"));
export const keys = store(async () =>
  (await list("compute", "/os-keypairs", "keypairs")).map((each) => each.keypair),
);
export const volumes = store(() => list("volumev3", "/volumes/detail", "volumes"));
export const volumeSnapshots = store(() => list("volumev3", "/snapshots/detail", "snapshots"));
export const limits = store(async () => (await get("compute", "/limits")).limits.absolute);
export const volumeLimits = store(async () => (await get("volumev3", "/limits")).limits.absolute);
export const networkQuota = store(async () => (await get("network", `/quotas/${tenant()}/details`)).quota);
const iso = (time) => new Date(time).toISOString().slice(0, 19);
const used = async (start, end) => (await get("compute", `/os-simple-tenant-usage/${tenant()}?start=${iso(start)}&end=${iso(end)}`)).tenant_usage;

export const usage = store(() => {
  const now = new Date();
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  return used(start, Math.max(now.getTime(), start + 1000));
});

const [DAY, DAYS, AT_ONCE] = [86400000, 14, 4]; // milliseconds, days, requests
/** What was used on each of the last days: [{day, hours, cores, ram, disk}], in hours, and hours times how much. */
export const daily = store(async () => {
  const [now, known] = [Date.now(), daily.value.value || []];
  const today = Math.floor(now / DAY) * DAY;
  const found = Array.from({ length: DAYS }, (_, n) => ({ day: today - (DAYS - 1 - n) * DAY }));
  const waiting = [...found];
  const read = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      const before = known.find((each) => each.day === one.day && each.whole);
      Object.assign(one, before || (await day(one.day, Math.min(one.day + DAY, Math.max(now, today + 1000)))));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, read));
  return found;
});

async function day(start, end) {
  const sums = await used(start, end);
  const [ram, disk] = [(sums.total_memory_mb_usage || 0) / 1024, sums.total_local_gb_usage || 0];
  return { hours: sums.total_hours || 0, cores: sums.total_vcpus_usage || 0, ram, disk, whole: end === start + DAY };
}

/** Null where the service has no credits: it is not OpenStack's own. */
export const credits = store(async () => {
  try {
    return (await get("compute", "/credits")).credits;
  } catch (err) {
    if (err.status === 404) return { credits: null, flavors: {} };
    throw err;
  }
});

/** A name by an id, from a store that may not be loaded. */
export function named(of, id) {
  of.want();
  const found = (of.value.value || []).find((each) => each.id === id);
  return found ? found.name : id;
}
