// The seek bar: where playback is and how much is loaded, chapters, and a look at what is elsewhere.

import { formatTime } from "./clock.js";
import { Glimpse } from "./glimpse.js";
import { find, listen, player } from "./page.js";
import { lastStarted } from "./storyboard.js";

export function startSeekBar(playback, chapters, signal) {
  const element = find("[data-timeline]");
  if (element) new SeekBar(element, playback, chapters, signal);
}

class SeekBar {
  #range;
  #time = find("[data-time]");
  #playback;
  #chapters;
  #isDragged = false;

  constructor(element, playback, chapters, signal) {
    this.#range = element.querySelector("input");
    this.#playback = playback;
    this.#chapters = chapters;
    const glimpse = new Glimpse(element, this.#range, chapters, signal);
    this.#range.addEventListener("input", () => {
      this.#isDragged = true;
      this.#draw(this.#wanted);
      glimpse.show(this.#wanted, playback.duration);
    });
    this.#range.addEventListener("change", () => {
      this.#isDragged = false;
      glimpse.hide();
      playback.seek(this.#wanted);
    });
    this.#range.addEventListener("pointermove", ({ clientX, pointerType }) => {
      if (pointerType === "touch" || !playback.duration) return;
      glimpse.showAt(clientX, playback.duration);
    });
    listen(this.#range, ["pointerleave", "blur"], () => glimpse.hide(), signal);
    const show = () => this.#show();
    for (const type of ["position", "ready"]) playback.addEventListener(type, show);
    listen(player, ["durationchange", "progress", "emptied"], show, signal);
    show();
  }

  get #wanted() {
    return Number(this.#range.value);
  }

  #show() {
    const { duration, position } = this.#playback;
    const isKnown = duration > 0;
    this.#range.disabled = !isKnown;
    if (isKnown && this.#range.max !== String(duration)) {
      this.#range.max = duration;
      this.#markChapters(duration);
    }
    if (!this.#isDragged) this.#range.value = position;
    this.#draw(this.#isDragged ? this.#wanted : position);
  }

  #draw(second) {
    const { duration, loaded } = this.#playback;
    const part = (value) => (duration ? Math.min(1, value / duration).toFixed(4) : "0");
    this.#range.style.setProperty("--played", part(second));
    this.#range.style.setProperty("--loaded", part(loaded));
    const [at, end] = [formatTime(Math.floor(second)), formatTime(duration)];
    const text = duration ? `${at} / ${end}` : at;
    if (this.#time.textContent === text) return;
    this.#time.textContent = text;
    const chapter = lastStarted(this.#chapters, second)?.title;
    const words = duration ? `${at} of ${end}` : at;
    this.#range.setAttribute("aria-valuetext", chapter ? `${words}, ${chapter}` : words);
  }

  #markChapters(duration) {
    const marks = this.#chapters
      .filter(({ start }) => start > 0 && start < duration)
      .map(({ start }) => {
        const mark = document.createElement("span");
        mark.style.setProperty("--at", (start / duration).toFixed(4));
        return mark;
      });
    this.#range.parentElement.querySelector("[data-marks]").replaceChildren(...marks);
  }
}
