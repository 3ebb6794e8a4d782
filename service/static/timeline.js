// The time on the page, which begins with the first picture or sound, and that of the browser.
//
// Where a file's own clock does not begin at 0, Chromium's currentTime is on that clock, and
// Firefox's is not. After a seek to 0, the first is at the start of that clock, the second at 0.
// The same is true of the times at which text tracks show their cues.

/** Dispatches `known` when the browser's clock has become known. */
export class Timeline extends EventTarget {
  #start = 0; // seconds on the file's clock
  #duration = 0;
  #shift = 0; // what the browser's time is ahead of the page's; null until it is known

  /** `start` and `duration` are in seconds, as the service knows them; 0 if it does not. */
  constructor(start, duration) {
    super();
    this.reset(start, duration);
  }

  /** Use another file. */
  reset(start, duration) {
    this.#start = start;
    this.#duration = duration;
    this.#shift = start > 0 ? null : 0;
  }

  get known() {
    return this.#shift !== null;
  }

  /** Learn the browser's clock from its currentTime after a seek to 0. */
  observe(currentTime) {
    this.#shift = currentTime > this.#start / 2 ? this.#start : 0;
    this.dispatchEvent(new Event("known"));
  }

  onPage(currentTime) {
    return Math.max(0, currentTime - this.#shift);
  }

  inPlayer(second) {
    return second + this.#shift;
  }

  /**
   * Return the duration on the page by that of the browser. That may count from elsewhere, and
   * Firefox's grows while it loads a fragmented MP4.
   */
  duration(ofPlayer) {
    if (this.#start > 0 && this.#duration > 0) return this.#duration;
    return Math.max(this.#duration, Number.isFinite(ofPlayer) ? ofPlayer : 0);
  }
}
