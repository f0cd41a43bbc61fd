// The page begins here: words first, then whoever is signed in.
import { session } from "./api.js";
import { html, render } from "./html.js";
import { Shell } from "./shell.js";
import "./theme.js";
import { SignIn } from "./views/signin.js";
import { language, speak } from "./words.js";

const Page = () => (session.value ? html`<${Shell} />` : html`<${SignIn} />`);

await speak(language.value);
render(html`<${Page} />`, document.body);
