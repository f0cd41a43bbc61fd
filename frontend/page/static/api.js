// The API as a client sees it: who is signed in, and one call. The token is in this module's memory and nowhere else.
import { signal } from "./html.js";

const COMPUTE_VERSION = "compute 2.26";

/** Who is signed in: {user, project, projects, catalog, roles}; null: nobody. */
export const session = signal(null);

let token = null;
let first = null; // the token without a project, by which others are got
let given = []; // all that we were given, to be given back

export class ApiError extends Error {
  constructor(status, message, request = "", wait = "") {
    super(message);
    this.status = status; // 0: there was no answer
    this.request = request;
    this.wait = wait; // seconds, as the server asked
  }
}

function said(name) {
  return document.querySelector(`meta[name=${name}]`)?.content || "";
}

export const identity = () => new URL(said("identity"), document.baseURI).href.replace(/\/$/, "");
/** Where the federation signs people in and comes back with a token; "": not to this address of the page. */
export function singleSignOn() {
  const url = said("websso") && new URL(said("websso"), document.baseURI);
  return url && url.searchParams.get("origin") === new URL(".", document.baseURI).href ? url.href : "";
}
export const federation = () => (said("federation") ? new URL(said("federation"), document.baseURI).href : "");

async function send(method, url, { body, headers = {}, auth = token } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, cache: "no-store", redirect: "error" };
  options.credentials = "omit"; // no cookie of this origin is ours
  if (auth) options.headers["X-Auth-Token"] = auth;
  if (body !== undefined) {
    options.headers["Content-Type"] ??= "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new ApiError(0, "");
  }
  const text = await answer.text();
  const parsed = parse(text);
  if (!answer.ok) {
    const request = answer.headers.get("x-openstack-request-id") || "";
    throw new ApiError(answer.status, reason(parsed) || answer.statusText, request, answer.headers.get("Retry-After"));
  }
  return { body: parsed, headers: answer.headers, status: answer.status };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The words of an error, wherever the service puts them: every one of them has a shape of its own. */
function reason(body) {
  if (typeof body === "string") return /[<{]/.test(body) ? "" : body.trim();
  if (!body || typeof body !== "object") return "";
  if (typeof body.message === "string") return body.message;
  return Object.values(body).map(reason).find(Boolean) || "";
}

async function authenticate(auth) {
  const { body, headers } = await send("POST", `${identity()}/auth/tokens`, { body: { auth }, auth: null });
  const got = headers.get("X-Subject-Token");
  given.push(got);
  return [got, body.token];
}

function open(got, told, projects) {
  token = got;
  session.value = {
    user: told.user,
    project: told.project,
    projects,
    catalog: told.catalog || [],
    roles: (told.roles || []).map((role) => role.name),
  };
}

/** Sign in with a name and a password, into one of the user's projects. */
export async function signIn(name, password, wished = "") {
  const user = { name, password, domain: { name: "Default" } };
  const [got] = await authenticate({ identity: { methods: ["password"], password: { user } }, scope: "unscoped" });
  await begin(got, wished);
}

/** The token that the single sign-on has posted to the page, once: "" from then on, and where there was none. */
export function posted() {
  const found = said("token");
  document.querySelector("meta[name=token]")?.remove();
  if (found) history.replaceState(null, "", location.href); // a reload posts nothing again
  return found;
}

/** Sign in with a token for no project. */
export async function signInByToken(got) {
  given.push(got);
  await begin(got);
}

async function begin(got, wished = "") {
  first = got;
  const { body } = await send("GET", `${identity()}/auth/projects`, { auth: first });
  const projects = body.projects.sort((a, b) => a.name.localeCompare(b.name));
  if (!projects.length) {
    await signOut();
    throw new ApiError(403, "", "", "");
  }
  await enter((projects.find((each) => each.id === wished) || projects[0]).id, projects);
}

/** Sign in with an application credential, which is for one project. */
export async function signInByCredential(id, secret) {
  const [got, told] = await authenticate({
    identity: { methods: ["application_credential"], application_credential: { id, secret } },
  });
  first = null;
  open(got, told, [told.project]);
}

/** Go on in another project, or come into the first. */
export async function enter(id, projects = session.value.projects) {
  const scope = { project: { id } };
  const [got, told] = await authenticate({ identity: { methods: ["token"], token: { id: first } }, scope });
  open(got, told, projects);
}

/** Forget the tokens here at once, and have the server end them. */
export async function signOut() {
  const [mine, all] = [token || first, given];
  forget();
  const url = `${identity()}/auth/tokens`;
  await Promise.allSettled(
    all.map((each) => send("DELETE", url, { auth: each, headers: { "X-Subject-Token": each } })),
  );
  return mine !== null;
}

function forget() {
  token = first = null;
  given = [];
  session.value = null;
}

/** Who has asked to be told when the server ends the session. */
export const ended = signal(false);

/** The address of a service by the catalog, without a slash at its end. */
export function address(kind) {
  const found = session.value.catalog.find((each) => each.type === kind);
  const endpoint = found?.endpoints.find((each) => each.interface === "public");
  if (!endpoint) throw new ApiError(404, kind);
  const url = endpoint.url.replace(/\/$/, "");
  if (kind === "image") return `${url.replace(/\/v2$/, "")}/v2`;
  if (kind === "network") return `${url.replace(/\/v2\.0$/, "")}/v2.0`;
  return url;
}

/** One call: {body, headers, status}, or ApiError. */
export async function call(kind, method, path, body, headers = {}) {
  const more = kind === "compute" ? { "OpenStack-API-Version": COMPUTE_VERSION, ...headers } : headers;
  try {
    const url = kind === "identity" ? identity() : address(kind);
    return await send(method, url + path, { body, headers: more });
  } catch (err) {
    if (err.status === 401 && session.value) {
      forget();
      ended.value = true;
    }
    throw err;
  }
}

/** What a GET answers. */
export const get = async (kind, path) => (await call(kind, "GET", path)).body;

/** All entries of a list that comes in pages; `told` gets each page's headers. */
export async function list(kind, path, key, told = () => {}) {
  const found = [];
  let next = path;
  while (next) {
    const { body, headers } = await call(kind, "GET", next);
    told(headers);
    found.push(...body[key]);
    const link = (body[`${key}_links`] || []).find((each) => each.rel === "next")?.href || body.next;
    next = link ? following(link, path) : null;
  }
  return found;
}

/** The next page: the same path with the query that the server names. */
function following(link, path) {
  const query = link.split("?")[1];
  return query ? `${path.split("?")[0]}?${query}` : null;
}

/** Send a file, and be told how far it is, and how to stop it; what the promise is rejected with then, says `stopped`. */
export function upload(kind, path, file, told, stopped) {
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.open("PUT", address(kind) + path);
    request.setRequestHeader("X-Auth-Token", token);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => told(event.loaded, event.total, () => request.abort());
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new ApiError(request.status, reason(parse(request.responseText))));
    };
    request.onerror = () => reject(new ApiError(0, ""));
    request.onabort = () => reject(stopped());
    request.send(file);
  });
}
