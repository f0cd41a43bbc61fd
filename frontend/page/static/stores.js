// What was read of the API, by kind: each is loaded when a view first wants it, and again when something was changed.
import { get, list, session } from "./api.js";
import { signal } from "./html.js";

const all = [];

function store(read) {
  const value = signal(null); // null: not yet
  const fault = signal(null);
  let turn = 0;
  const made = {
    value,
    fault,
    async load() {
      const mine = ++turn;
      try {
        const found = await read();
        if (mine === turn) [value.value, fault.value] = [found, null];
      } catch (err) {
        if (mine === turn) fault.value = err;
      }
    },
    /** Load it unless it is there. */
    want() {
      if (value.value === null && turn === 0) made.load();
    },
    forget() {
      turn = 0;
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
export const usage = store(async () => {
  const now = new Date();
  const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
  const iso = (time) => time.toISOString().slice(0, 19);
  const path = `/os-simple-tenant-usage/${tenant()}?start=${iso(start)}&end=${iso(now)}`;
  return (await get("compute", path)).tenant_usage;
});
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
