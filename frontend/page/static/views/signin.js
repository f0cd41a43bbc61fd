// Who are you? By password or, where a federation or a program's credential is all there is, by that.
import { ended, federation, posted, signIn, signInByCredential, signInByToken, singleSignOn } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { advice, wrong } from "../notices.js";
import { answers, Field } from "../parts/field.js";
import { Looks } from "../parts/looks.js";
import { t } from "../words.js";

export function SignIn() {
  const [way, choose] = useState("password");
  const [fault, failed] = useState(null);
  const [busy, working] = useState(false);
  const form = useRef();
  useEffect(() => form.current.querySelector("input").focus(), [way]);
  useEffect(() => {
    const token = posted();
    if (token) work(() => signInByToken(token));
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const { name, password } = answers(form.current);
    if (!busy) work(() => (way === "password" ? signIn(name, password) : signInByCredential(name, password)));
  };
  const work = async (signed) => {
    working(true);
    failed(null);
    try {
      await signed();
      ended.value = false;
    } catch (err) {
      working(false);
      failed(err);
    }
  };
  return html`<main class="signin" tabindex="-1">
    <h1>${t("signin.title")}</h1>
    ${ended.value && !fault && html`<p class="notice busy" role="status">${t("signin.ended")}</p>`}
    ${fault && html`<div class="notice bad" role="alert"><div><p>${reason(fault)}</p><p class="next">${advised(fault)}</p></div></div>`}
    <form ref=${form} onSubmit=${submit} key=${way}>
      <${Field} name="name" label=${t(`signin.${way}.name`)} required autocomplete="username" />
      <${Field} name="password" type="password" label=${t(`signin.${way}.secret`)} required autocomplete="current-password" />
      <div class="buttons"><button class="main" aria-disabled=${busy}>${t(busy ? "signin.busy" : "signin.go")}</button></div>
    </form>
    <p>
      <button type="button" class="link" onClick=${() => choose(way === "password" ? "credential" : "password")}>${t(`signin.${way}.other`)}</button>
    </p>
    ${singleSignOn() && html`<p><a class="button" href=${singleSignOn()} rel="noopener">${t("signin.sso")}</a></p>`}
    ${federation() && html`<p><a href=${federation()} rel="noopener">${t("signin.federation")}</a></p>`}
    <${Looks} />
  </main>`;
}

const reason = (err) => (err.status === 403 && !err.message ? t("signin.noproject") : wrong(err));
const advised = (err) => (err.status === 401 ? t("signin.advice") : advice(err));
