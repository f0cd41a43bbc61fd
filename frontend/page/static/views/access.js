// The same from the command line: what it takes, as files; and credentials for programs, which hold no password.
import { ask } from "../asked.js";
import { address, call, get, identity, session } from "../api.js";
import { html, signal, useEffect, useState } from "../html.js";
import { doing } from "../notices.js";
import { Secret } from "../parts/secret.js";
import { t, when } from "../words.js";

const made = signal(null); // a credential's secret, until the view is left
const quoted = (text) => JSON.stringify(text); // YAML takes what JSON writes
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function Access() {
  useEffect(() => () => (made.value = null), []);
  const kinds = session.value.catalog.map((each) => each.type);
  return html`<div class="title"><h1>${t("view.access")}</h1></div>
    <p>${t("access.words")}</p>
    <div class="panels">
      <section class="panel"><h2>${"clouds.yaml"}</h2><${Secret} words=${t("access.clouds")} text=${clouds()} file="clouds.yaml" /></section>
      <section class="panel"><h2>${"openrc.sh"}</h2><${Secret} words=${t("access.rc")} text=${rc()} file="openrc.sh" /></section>
      <section class="panel"><h2>${t("access.credentials")}</h2><${Credentials} /></section>
      <section class="panel"><h2>${t("access.addresses")}</h2>
        <dl class="facts">${kinds.map((each) => html`<dt>${each}</dt><dd><code>${address(each)}</code></dd>`)}</dl></section>
    </div>`;
}

function region() {
  return session.value.catalog[0]?.endpoints[0]?.region || "RegionOne";
}

function clouds() {
  const { user, project } = session.value;
  return `clouds:
  ${quoted(project.name)}:
    auth:
      auth_url: ${quoted(identity())}
      username: ${quoted(user.name)}
      user_domain_name: Default
      project_id: ${quoted(project.id)}
    region_name: ${quoted(region())}
    identity_api_version: 3
`;
}

function rc() {
  const { user, project } = session.value;
  return `export OS_AUTH_URL=${shell(identity())}
export OS_USERNAME=${shell(user.name)}
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_ID=${shell(project.id)}
export OS_REGION_NAME=${shell(region())}
export OS_IDENTITY_API_VERSION=3
`;
}

function Credentials() {
  const [all, set] = useState(null);
  const base = `/users/${session.value.user.id}/application_credentials`;
  const load = async () => {
    try {
      set((await get("identity", base)).application_credentials);
    } catch {
      set([]); // an identity service that has none of them
    }
  };
  useEffect(() => {
    load();
  }, []);
  const make = () =>
    ask({
      title: t("access.make"),
      label: t("make"),
      fields: [{ name: "name", label: t("name"), required: true, max: 255 }],
      run: ({ name }) =>
        doing(t("access.doing", { name }), async () => {
          const { body } = await call("identity", "POST", base, { application_credential: { name } });
          made.value = body.application_credential;
        }).then(load),
    });
  const remove = (one) =>
    ask({
      title: t("access.remove"),
      names: [one.name],
      danger: true,
      label: t("remove"),
      run: () => doing(t("remove.of", { name: one.name }), () => call("identity", "DELETE", `${base}/${one.id}`)).then(load),
    });
  return html`<p>${t("access.credentials.words")}</p>
    ${made.value && html`<${Secret} words=${t("access.secret")} text=${program(made.value)} file="clouds.yaml" />`}
    <ul class="lines">
      ${(all || []).map(
        (one) => html`<li key=${one.id}>
          <div><strong><bdi>${one.name}</bdi></strong><br /><code class="faint">${one.id}</code> ${one.expires_at && when(one.expires_at)}</div>
          <button type="button" class="danger" aria-label=${t("act.of", { action: t("remove"), name: one.name })} onClick=${() => remove(one)}>${t("remove")}</button>
        </li>`,
      )}
    </ul>
    <p><button type="button" onClick=${make}>${t("access.make")}</button></p>`;
}

function program(one) {
  return `clouds:
  ${quoted(one.name)}:
    auth_type: v3applicationcredential
    auth:
      auth_url: ${quoted(identity())}
      application_credential_id: ${quoted(one.id)}
      application_credential_secret: ${quoted(one.secret)}
    region_name: ${quoted(region())}
`;
}
