// The frame, chapter and time of the place on the seek bar to which the viewer points.

import { formatTime } from "./clock.js";
import { stage } from "./page.js";
import { fetchStoryboard, lastStarted } from "./storyboard.js";

export class Glimpse {
  #element;
  #range;
  #chapters;
  #signal;
  #tiles = null; // fetched when they are first wanted
  #second = null; // what is shown

  /** `element` contains the range, and what is shown above it. */
  constructor(element, range, chapters, signal) {
    this.#element = element.querySelector("[data-glimpse]");
    this.#range = range;
    this.#chapters = chapters;
    this.#signal = signal;
  }

  hide() {
    this.#second = null;
    this.#element.hidden = true;
  }

  /** Show the place at a horizontal coordinate of the window. */
  showAt(clientX, duration) {
    const { left, width } = this.#range.getBoundingClientRect();
    const thumb = Number.parseFloat(getComputedStyle(this.#range).getPropertyValue("--thumb"));
    const part = (clientX - left - thumb / 2) / (width - thumb);
    this.show(Math.min(1, Math.max(0, part)) * duration, duration);
  }

  /** Show a second of the film. */
  show(second, duration) {
    const isFirst = this.#tiles === null;
    this.#second = second;
    if (isFirst) this.#fetch(duration);
    const element = this.#element;
    const part = (name) => element.querySelector(`[data-${name}]`);
    part("glimpse-time").textContent = formatTime(Math.floor(second));
    const chapter = lastStarted(this.#chapters, second);
    part("glimpse-chapter").textContent = chapter?.title ?? "";
    this.#showTile(part("glimpse-frame"), lastStarted(this.#tiles, second));
    element.hidden = false;
    element.style.setProperty("--at", (second / duration).toFixed(4));
  }

  async #fetch(duration) {
    this.#tiles = [];
    const { storyboard } = stage.dataset;
    if (!storyboard) return;
    this.#tiles = await fetchStoryboard(storyboard, this.#signal);
    if (this.#second !== null && !this.#element.hidden) this.show(this.#second, duration);
  }

  #showTile(frame, tile) {
    frame.toggleAttribute("hidden", !tile);
    if (!tile) return;
    const { sheet, x, y, width, height } = tile;
    frame.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    frame.style.aspectRatio = `${width} / ${height}`;
    const image = frame.querySelector("image");
    if (image.getAttribute("href") !== sheet) image.setAttribute("href", sheet);
  }
}
