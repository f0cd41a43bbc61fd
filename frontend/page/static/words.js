// The page's words, by language. Nothing that a person reads stands anywhere but in words/*.json.
import { effect, signal } from "./html.js";
import { kept } from "./kept.js";

export const LANGUAGES = { en: "English", el: "Ελληνικά" };

const catalogs = {};
const current = signal({});

export const language = kept("language", preferred());

function preferred() {
  const wished = (navigator.languages || []).map((each) => each.slice(0, 2));
  return wished.find((each) => each in LANGUAGES) || "en";
}

/** Load the catalog of a language and show it from then on. */
export async function speak(name) {
  const chosen = name in LANGUAGES ? name : "en";
  if (!catalogs[chosen]) {
    const answer = await fetch(new URL(`words/${chosen}.json`, import.meta.url));
    catalogs[chosen] = await answer.json();
  }
  current.value = catalogs[chosen];
  language.value = chosen;
  document.documentElement.lang = chosen;
  document.title = t("title");
}

/** The words of a key, with {names} filled in. Text, never HTML. */
export function t(key, values = {}) {
  const text = current.value[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The words of a key if there are any, else what was found: for what the API may say that this page does not know. */
export function known(key, found) {
  return key in current.value ? t(key) : found;
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);
}

export function when(stamp) {
  if (!stamp) return "";
  const text = /(Z|[+-]\d\d:\d\d)$/.test(stamp) ? stamp : `${stamp}Z`;
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
}

/** A size in MiB, or in GiB from one on. */
export function mebibytes(value) {
  return value >= 1024 ? t("unit.gib", { n: number(value / 1024, 1) }) : t("unit.mib", { n: number(value) });
}

effect(() => {
  document.documentElement.dir = ["ar", "fa", "he"].includes(language.value) ? "rtl" : "ltr";
});
