// What can be done to machines: who may have it when, what it sends, and how it is followed to its end.
import { ask } from "./asked.js";
import { call, get } from "./api.js";
import { awaited, machines, onChange, soon, task } from "./live.js";
import { dismiss, fail, retell, tell } from "./notices.js";
import { flavors } from "./stores.js";
import { t } from "./words.js";

const UNDO = 5000; // milliseconds in which nothing is sent yet
const AT_ONCE = 4; // requests

const idle = (machine) => !task(machine) && !machine.locked;
const post = (body) => (machine) => call("compute", "POST", `/servers/${machine.id}/action`, body);

/** By name; `when`: whether a machine may have it now; `danger`: asked in red, and may be undone before it is sent. */
export const ACTIONS = {
  start: { when: (m) => idle(m) && m.status === "SHUTOFF", send: () => post({ "os-start": null }) },
  stop: { when: (m) => idle(m) && m.status === "ACTIVE", send: () => post({ "os-stop": null }) },
  reboot: {
    when: (m) => idle(m) && ["ACTIVE", "SHUTOFF"].includes(m.status),
    fields: () => [
      { name: "type", label: t("reboot.type"), type: "radio", value: "SOFT", options: ["SOFT", "HARD"].map((each) => [each, t(`reboot.${each}`)]) },
    ],
    send: ({ type }) => post({ reboot: { type } }),
  },
  snapshot: {
    when: (m) => idle(m) && ["ACTIVE", "SHUTOFF"].includes(m.status),
    fields: (chosen) => [{ name: "name", label: t("snapshot.name"), value: `${chosen[0].name.slice(0, 200)}-${today()}`, required: true, max: 255 }],
    send: ({ name }, chosen) => (m) => post({ createImage: { name: chosen.length > 1 ? `${name}-${chosen.indexOf(m) + 1}` : name } })(m),
  },
  resize: {
    when: (m) => idle(m) && ["ACTIVE", "SHUTOFF"].includes(m.status),
    want: flavors,
    fields: (chosen) => [{ name: "flavor", label: t("resize.flavor"), type: "select", required: true, options: larger(chosen) }],
    send: ({ flavor }) => post({ resize: { flavorRef: flavor } }),
  },
  confirmResize: { when: (m) => idle(m) && m.status === "VERIFY_RESIZE", send: () => post({ confirmResize: null }) },
  revertResize: { when: (m) => idle(m) && m.status === "VERIFY_RESIZE", send: () => post({ revertResize: null }) },
  rename: {
    one: true,
    when: (m) => idle(m) && m.status !== "BUILD",
    fields: ([machine]) => [{ name: "name", label: t("rename.name"), value: machine.name, required: true, max: 255 }],
    send: ({ name }) => (m) => call("compute", "PUT", `/servers/${m.id}`, { server: { name } }),
  },
  console: { one: true, direct: true, when: (m) => m.status === "ACTIVE", run: openConsole },
  destroy: {
    danger: true,
    when: (m) => !m.locked && task(m) !== "deleting",
    send: () => (m) => call("compute", "DELETE", `/servers/${m.id}`),
  },
};

const today = () => new Date().toISOString().slice(0, 10);

/** Flavors that these machines may grow to: Ganeti makes no disk smaller. */
function larger(chosen) {
  const all = flavors.value.value || [];
  const now = chosen.map((each) => all.find((one) => one.id === each.flavor.id));
  const least = Math.max(0, ...now.map((each) => each?.disk || 0));
  const fit = all.filter((each) => each.disk >= least && !(now.length === 1 && each.id === now[0]?.id));
  return fit.map((each) => [each.id, t("flavor.line", { name: each.name, cpus: each.vcpus, ram: each.ram, disk: each.disk })]);
}

/** Ask whether to do it to those of the machines that may have it. */
export async function begin(name, wanted) {
  const action = ACTIONS[name];
  const chosen = wanted.filter(action.when);
  if (!chosen.length) return;
  if (action.direct) {
    await action.run(chosen[0]);
    return;
  }
  if (action.want && !action.want.value.value) await action.want.load();
  ask({
    title: t(`ask.${name}`, { n: chosen.length }),
    note: wanted.length > chosen.length ? t("ask.left", { n: wanted.length - chosen.length }) : "",
    names: chosen.map((each) => each.name),
    fields: action.fields ? action.fields(chosen) : [],
    danger: action.danger,
    label: t(`action.${name}`),
    run: (values) => (action.danger ? later(name, chosen, values) : sendAll(name, chosen, values)),
  });
}

/** Send it in a while, unless it is undone. */
function later(name, chosen, values) {
  const what = words(name, chosen);
  const timer = setTimeout(() => {
    dismiss(id);
    sendAll(name, chosen, values);
  }, UNDO);
  const undo = () => {
    clearTimeout(timer);
    retell(id, "good", t("notice.undone", { what }));
  };
  const id = tell("busy", t("notice.soon", { what, n: UNDO / 1000 }), { action: { label: t("notice.undo"), run: undo } });
}

const words = (name, chosen) =>
  t("notice.what", { action: t(`action.${name}`), names: chosen.length > 3 ? t("count.machines", { n: chosen.length }) : chosen.map((each) => each.name).join(", ") });

async function sendAll(name, chosen, values) {
  const send = ACTIONS[name].send(values, chosen);
  const waiting = [...chosen];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = waiting.shift(); one; one = waiting.shift()) await sendOne(name, one, send);
    }),
  );
  soon();
}

async function sendOne(name, machine, send) {
  const what = words(name, [machine]);
  const notice = tell("busy", t("notice.doing", { what }));
  try {
    const { headers } = await send(machine);
    const request = headers.get("x-openstack-request-id");
    awaited.value = new Map(awaited.value).set(machine.id, { what, notice, request, gone: name === "destroy" });
  } catch (err) {
    fail(err, what, notice);
  }
}

/** What was asked of machines that have come to rest: how it went, tells the server's own record of the request. */
onChange((changed) => {
  for (const [id, wait] of awaited.value) {
    const now = changed.get(id) || machines.value.get(id);
    const gone = !now || now.status === "DELETED";
    if (!gone && (task(now) || wait.gone)) continue;
    const rest = new Map(awaited.value);
    rest.delete(id);
    awaited.value = rest;
    finish(id, wait, gone);
  }
});

async function finish(id, { what, notice, request }, gone) {
  const failed = gone ? null : await failure(id, request);
  if (failed) retell(notice, "bad", t("notice.failed", { what, why: failed }), { next: t("advice.events") });
  else retell(notice, "good", t("notice.done", { what }));
}

async function failure(id, request) {
  try {
    const { instanceAction } = await get("compute", `/servers/${id}/os-instance-actions/${request}`);
    return instanceAction.message ? t("error.job") : null;
  } catch {
    return null; // not every call makes a record
  }
}

/** The screen in a window of its own, on a page of the console proxy, which is another origin. */
async function openConsole(machine) {
  const what = words("console", [machine]);
  const tab = window.open("about:blank", "_blank");
  try {
    const body = { remote_console: { protocol: "vnc", type: "novnc" } };
    const answer = await call("compute", "POST", `/servers/${machine.id}/remote-consoles`, body);
    const { url } = answer.body.remote_console;
    if (!/^https?:/.test(url)) throw new Error(url);
    if (!tab) {
      tell("good", t("console.blocked"), { action: { label: t("action.console"), run: () => window.open(url, "_blank", "noopener") } });
      return;
    }
    tab.opener = null;
    tab.location.replace(url);
  } catch (err) {
    tab?.close();
    fail(err, what);
  }
}
