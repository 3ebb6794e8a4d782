// The menu of captions: which are shown, and how they look.

import { captionTracks, chooseCaptions, shownCaptions } from "./captions.js";
import { find, listen, player } from "./page.js";
import { saveSetting, settings } from "./store.js";

// The style sheet has a rule for each value.
const STYLES = ["captionSize", "captionLook"];

export function startCaptionMenu(signal) {
  const [button, list] = [find("[data-captions-button]"), find("[data-captions-list]")];
  if (!button) return;
  const template = find("[data-captions-choice]");
  const fill = () => {
    const tracks = captionTracks();
    button.hidden = tracks.length === 0;
    const choices = tracks.map((track) => choice(template, track));
    for (const old of list.querySelectorAll("[data-track]")) old.remove();
    list.append(...choices);
    check();
  };
  const check = () => {
    const shown = shownCaptions();
    button.setAttribute("aria-pressed", String(shown !== null));
    const index = captionTracks().indexOf(shown);
    list.querySelectorAll("input")[index + 1].checked = true; // the first one is for none
  };
  list.addEventListener("change", ({ target }) => {
    const index = [...list.querySelectorAll("input")].indexOf(target);
    chooseCaptions(captionTracks()[index - 1] ?? null);
  });
  listen(player.textTracks, ["addtrack", "removetrack"], fill, signal);
  player.textTracks.addEventListener("change", check, { signal });
  fill();
  for (const name of STYLES) startStyle(name);
}

function choice(template, { label, language }) {
  const element = template.content.firstElementChild.cloneNode(true);
  const name = element.querySelector("bdi");
  name.textContent = label;
  if (language) name.lang = language;
  return element;
}

function startStyle(name) {
  const select = find(`[data-style="${name}"]`);
  const apply = () => {
    document.documentElement.dataset[name] = select.value;
  };
  if (typeof settings[name] === "string") select.value = settings[name];
  if (select.selectedIndex < 0) select.selectedIndex = 0; // of another version
  apply();
  select.addEventListener("change", () => {
    saveSetting(name, select.value);
    apply();
  });
}
