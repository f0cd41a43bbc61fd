// What is around every view: where one can go, in which project one is, and the way out.
import { enter, session, signOut } from "./api.js";
import { asked } from "./asked.js";
import { begin, stop } from "./live.js";
import { fail, notices } from "./notices.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { ConfirmBar } from "./parts/confirmbar.js";
import { Looks } from "./parts/looks.js";
import { Notices } from "./parts/notices.js";
import { go, link, route } from "./route.js";
import { forgetAll } from "./stores.js";
import { Access } from "./views/access.js";
import { Create } from "./views/create.js";
import { Groups } from "./views/groups.js";
import { Images } from "./views/images.js";
import { Keys } from "./views/keys.js";
import { Machine } from "./views/machine.js";
import { Machines } from "./views/machines.js";
import { Networks } from "./views/networks.js";
import { Overview } from "./views/overview.js";
import { Volumes } from "./views/volumes.js";
import { t } from "./words.js";

const VIEWS = {
  overview: Overview,
  machines: Machines,
  networks: Networks,
  firewall: Groups,
  images: Images,
  volumes: Volumes,
  keys: Keys,
  access: Access,
};

function view([name = "overview", id]) {
  if (name === "create") return html`<${Create} />`;
  if (name === "machines" && id) return html`<${Machine} id=${id} key=${id} />`;
  return html`<${VIEWS[name] || Overview} />`;
}

/** Nothing of what was read or asked outlives a project's turn. */
function leave() {
  stop();
  forgetAll();
  [asked.value, notices.value] = [null, []];
}

async function change(id) {
  leave();
  try {
    await enter(id);
    go("overview");
  } catch (err) {
    fail(err, t("project"));
  }
  begin();
}

export function Shell() {
  const { user, project, projects } = session.value;
  const [open, toggle] = useState(false);
  const place = route.value;
  const main = useRef();
  useEffect(() => {
    begin();
    return leave;
  }, []);
  useEffect(() => {
    toggle(false);
    asked.value = null;
    main.current.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [place.join("/")]);
  return html`<a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), main.current.focus())}>${t("skip")}</a>
    <header class="top">
      <button type="button" class="burger" aria-expanded=${open} aria-controls="side" onClick=${() => toggle(!open)}>
        <span aria-hidden="true">☰</span> ${t("menu")}
      </button>
      <a class="brand" href=${link("overview")}>${t("title")}</a>
      <label class="project"
        ><span>${t("project")}</span>
        <select value=${project.id} onChange=${(event) => change(event.target.value)}>
          ${projects.map((each) => html`<option value=${each.id} selected=${each.id === project.id}>${each.name}</option>`)}
        </select></label
      >
      <span class="who"><bdi>${user.name}</bdi></span>
      <button type="button" onClick=${signOut}>${t("signout")}</button>
    </header>
    <div class="frame">
      <nav id="side" class=${open ? "open" : ""} aria-label=${t("menu")}>
        <ul>
          ${Object.keys(VIEWS).map((each) => html`<li><a href=${link(each)} aria-current=${each === (place[0] || "overview") ? "page" : undefined}>${t(`view.${each}`)}</a></li>`)}
        </ul>
        <${Looks} />
      </nav>
      <main id="main" tabindex="-1" ref=${main}>${view(place)}</main>
    </div>
    <${Notices} />
    <${ConfirmBar} />`;
}
