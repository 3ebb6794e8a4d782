// Unfolds the filmstrip, whose HTML is loaded when it is first wanted, and folds it away again.

import { Filmstrip } from "./filmstrip.js";
import { find } from "./page.js";
import { saveSetting, settings } from "./store.js";

export function startFilmstrip(playback, signal) {
  const link = find("[data-filmstrip-link]");
  if (!link) return;
  link.setAttribute("role", "button"); // it stays on this page
  const filmstrip = new Fold(link, playback, signal);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    saveSetting("filmstrip", !filmstrip.isOpen);
    filmstrip.toggle(!filmstrip.isOpen);
  });
  link.addEventListener("keydown", (event) => {
    if (event.key !== " ") return; // the key of buttons
    event.preventDefault();
    link.click();
  });
  filmstrip.toggle(settings.filmstrip === true || filmstrip.isOpen);
}

class Fold {
  #link;
  #playback;
  #signal;
  #place = find("[data-filmstrip-place]");

  constructor(link, playback, signal) {
    this.#link = link;
    this.#playback = playback;
    this.#signal = signal;
    if (this.#strip) new Filmstrip(this.#strip, playback);
  }

  get isOpen() {
    return this.#strip !== null && !this.#strip.hidden;
  }

  get #strip() {
    return this.#place.querySelector("[data-filmstrip]");
  }

  async toggle(open) {
    if (open && !this.#strip) await this.#load();
    if (this.#strip) this.#strip.hidden = !open;
    this.#link.setAttribute("aria-expanded", String(this.isOpen));
  }

  async #load() {
    try {
      const response = await fetch(this.#link.href, { signal: this.#signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const strip = page.querySelector("[data-filmstrip]");
      if (!strip || this.#strip) return; // another click was faster
      this.#place.replaceChildren(strip);
      new Filmstrip(strip, this.#playback);
    } catch {
      // The link can be followed again.
    }
  }
}
