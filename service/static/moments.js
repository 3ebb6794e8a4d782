// Lists of links to moments of the video: chapters, and frames of the filmstrip.

import { isPlainClick } from "./handover.js";

export class Moments {
  #current;

  /** `list` has links with a time in seconds, in ascending order. A click on one seeks there. */
  constructor(list, playback) {
    this.links = [...list.querySelectorAll("a[data-t]")];
    list.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-t]");
      if (!link || !isPlainClick(event)) return;
      event.preventDefault();
      playback.seek(timeOf(link));
    });
  }

  /** The link that is marked. */
  get current() {
    return this.#current;
  }

  /** Return the last link that is not after a position; null if all are. */
  at(position) {
    let low = 0;
    let high = this.links.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (timeOf(this.links[middle]) <= position + 0.001) low = middle + 1;
      else high = middle;
    }
    return this.links[low - 1] ?? null;
  }

  /** Mark the link at a position as the current one; return whether that is another one. */
  mark(position) {
    const link = this.at(position);
    if (link === this.#current) return false;
    for (const other of this.links) {
      if (other !== link) other.removeAttribute("aria-current");
    }
    link?.setAttribute("aria-current", "true");
    this.#current = link;
    return true;
  }
}

export const timeOf = (link) => Number(link.dataset.t);

export function startChapters(list, playback) {
  if (!list) return;
  const chapters = new Moments(list, playback);
  playback.addEventListener("position", () => chapters.mark(playback.position));
}
