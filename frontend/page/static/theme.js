// Light or dark: as the system says, or as the person does.
import { effect } from "./html.js";
import { kept } from "./kept.js";

export const THEMES = ["system", "light", "dark"];
export const theme = kept("theme", "system");

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});
