// Says when the connection is slower than the film, which then can be downloaded.

import { find, focusPlayer, player } from "./page.js";

const LIMIT = 10; // seconds of waiting
const WINDOW = 60; // seconds, within which they are counted

/** Counts how long playback has waited for data lately. Times are in seconds. */
export class WaitingTime {
  #waits = []; // [from, to]
  #since;

  begin(now) {
    this.#since ??= now;
  }

  end(now) {
    if (this.#since !== undefined) this.#waits.push([this.#since, now]);
    this.#since = undefined;
  }

  /** Forget everything: a seek waits for other reasons. */
  reset() {
    this.#waits = [];
    this.#since = undefined;
  }

  isTooLong(now) {
    const from = now - WINDOW;
    this.#waits = this.#waits.filter(([, to]) => to > from);
    const waits = this.#since === undefined ? this.#waits : [...this.#waits, [this.#since, now]];
    const total = waits.reduce((sum, [begun, to]) => sum + to - Math.max(begun, from), 0);
    return total >= LIMIT;
  }
}

/** Show the notice when the player has waited too long, once for each video. */
export function watchConnection(playback, signal) {
  const waiting = new WaitingTime();
  const now = () => performance.now() / 1000;
  const listen = (type, act) => player.addEventListener(type, act, { signal });
  const check = () => {
    if (playback.frozen) waiting.reset(); // the connection is lost: see banner.js
    if (!waiting.isTooLong(now())) return;
    clearInterval(checks);
    showNotice(find("[data-slow-link]"));
  };
  const checks = setInterval(check, 1000);
  signal.addEventListener("abort", () => clearInterval(checks));
  listen("waiting", () => player.seeking || waiting.begin(now()));
  listen("playing", () => waiting.end(now()));
  listen("pause", () => waiting.end(now()));
  listen("seeking", () => waiting.reset());
}

function showNotice(notice) {
  const content = notice.querySelector("template").content.cloneNode(true);
  content.querySelector("[data-dismiss]").addEventListener("click", () => {
    notice.replaceChildren();
    focusPlayer();
  });
  notice.append(content);
}
