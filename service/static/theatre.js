// The width of the player: that of the page's text, or of the window.

import { find } from "./page.js";
import { saveSetting, settings } from "./store.js";

const button = () => find("[data-theatre]");

export function startTheatre() {
  if (!button()) return;
  setTheatre(settings.theatre === true);
  button().addEventListener("click", () => {
    saveSetting("theatre", settings.theatre !== true);
    setTheatre(settings.theatre);
  });
}

export const toggleTheatre = () => button()?.click();

function setTheatre(wide) {
  document.documentElement.classList.toggle("theatre", wide);
  button().setAttribute("aria-pressed", String(wide));
}
