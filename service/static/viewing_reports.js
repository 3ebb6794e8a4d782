// Measures how a film plays, and sends sums to the server. They name neither the viewer nor the film.
// Browsers that ask not to be tracked send nothing.

import { listen, player, stage } from "./page.js";

const INTERVAL = 60_000; // milliseconds between two reports
const STALL = 10_000; // milliseconds after which a stall is reported, although it goes on
// Seconds. Timers run once a minute in hidden windows: in a longer time the computer has slept.
const MAX_SPAN = 150;
const MIN_WAIT = 2; // seconds after which a viewer who leaves has waited for the film in vain
// A page that is left gets `visibilitychange` and `pagehide`: the second report would be almost empty.
const MIN_SECONDS = 0.5;
const EVENTS = ["play", "playing", "waiting", "pause", "ended", "seeking", "seeked"];
const HAVE_FUTURE_DATA = 3; // HTML §4.8.11.7

// The kinds of failures, by the reasons of recovery.js.
const KINDS = {
  reloading: "interrupted",
  lost: "network",
  unavailable: "server",
  gone: "gone",
  damaged: "decode",
};

/** How one film plays. Times are in seconds. */
export class Viewing {
  #state = "idle"; // "starting", "playing" or "stalled"
  #since = 0;
  #hasBegun = false;
  #failure; // the kind of a failure that is not over
  #sums = newSums();

  get isStalled() {
    return this.#state === "stalled";
  }

  /** Note when the viewer asked to play. */
  ask(now) {
    if (!this.#hasBegun && this.#state === "idle") this.#enter("starting", now);
  }

  plays(now) {
    const waited = now - this.#since;
    if (this.#state === "starting" && waited <= MAX_SPAN) this.#sums.first_frame = rounded(waited);
    this.#hasBegun = true;
    this.#failure = undefined;
    this.#enter("playing", now);
  }

  /** Note that the viewer leaves. A film that had not begun counts as one that began only now. */
  leaves(now) {
    const waited = now - this.#since;
    if (this.#state !== "starting" || waited < MIN_WAIT || waited > MAX_SPAN) return;
    this.#sums.first_frame = rounded(waited);
    this.#hasBegun = true;
    this.rests(now);
  }

  /** Note that playback waits for data. */
  waits(now) {
    if (this.#state !== "playing") return;
    this.#sums.stalls += 1;
    this.#enter("stalled", now);
  }

  /** Note that nothing is to play: the viewer has paused or seeks, or the film is over. */
  rests(now) {
    this.#enter("idle", now);
  }

  seeks(now) {
    if (this.#hasBegun) this.rests(now); // else it goes to where the viewer wants to begin
  }

  /** Note a failure. Retries that fail in the same way are a part of it. */
  fails(kind, isFinal, now) {
    if (kind !== this.#failure) this.#sums.errors[kind] = (this.#sums.errors[kind] ?? 0) + 1;
    this.#failure = kind;
    if (isFinal) this.rests(now);
    else this.waits(now);
  }

  /** Return the sums since they were taken last; null if there is too little in them for a report. */
  take(now, { frames, dropped }) {
    if (this.#state !== "starting") this.#enter(this.#state, now);
    const { first_frame, played, stalled, stalls, errors } = this.#sums;
    const isShort = first_frame === undefined && !stalls && played + stalled < MIN_SECONDS;
    if (isShort && !Object.keys(errors).length) return null;
    const sums = { ...this.#sums, frames, dropped };
    this.#sums = newSums();
    return { ...sums, played: rounded(played), stalled: rounded(stalled) };
  }

  #enter(state, now) {
    const span = now - this.#since;
    const sum = { playing: "played", stalled: "stalled" }[this.#state];
    if (sum && span <= MAX_SPAN) this.#sums[sum] += span;
    this.#state = state;
    this.#since = now;
  }
}

/** The frames of a player since they were counted last. */
export class Frames {
  #before = { frames: 0, dropped: 0 };

  take(quality) {
    const now = {
      frames: quality?.totalVideoFrames ?? 0,
      dropped: quality?.droppedVideoFrames ?? 0,
    };
    // The player counts from 0 for a new source.
    const before = now.frames < this.#before.frames ? { frames: 0, dropped: 0 } : this.#before;
    this.#before = now;
    const frames = now.frames - before.frames;
    return { frames, dropped: Math.min(frames, Math.max(0, now.dropped - before.dropped)) };
  }
}

const playsNow = () => !player.paused && !player.ended && player.readyState >= HAVE_FUTURE_DATA;
const newSums = () => ({ played: 0, stalled: 0, stalls: 0, errors: {} });
const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

/** Report how the film of the page plays. `asked`: when the viewer asked to play, if it is known. */
export function startViewingReports(playback, recovery, asked, signal) {
  const url = stage.dataset.reports;
  if (!url || navigator.doNotTrack === "1" || navigator.globalPrivacyControl) return;
  const now = () => performance.now() / 1000;
  const viewing = new Viewing();
  const frames = new Frames();
  let wasHidden = document.hidden;
  frames.take(player.getVideoPlaybackQuality?.()); // those of the film before
  const report = () => {
    const counted = frames.take(player.getVideoPlaybackQuality?.());
    // Browsers show no frames of a hidden window.
    const sums = viewing.take(now(), wasHidden ? { frames: 0, dropped: 0 } : counted);
    wasHidden = document.hidden;
    if (!sums) return;
    navigator.sendBeacon(url, new Blob([JSON.stringify(sums)], { type: "application/json" }));
  };

  let stall;
  const wait = () => {
    viewing.waits(now());
    clearTimeout(stall);
    stall = setTimeout(() => viewing.isStalled && report(), STALL);
  };

  if (asked !== undefined) viewing.ask(asked);
  else if (!player.paused && !playsNow()) viewing.ask(0); // by itself, since the page was opened
  if (playsNow()) viewing.plays(now());
  const acts = {
    play: () => viewing.ask(now()),
    playing: () => viewing.plays(now()),
    waiting: () => player.seeking || wait(),
    pause: () => playback.frozen || viewing.rests(now()),
    seeking: () => playback.frozen || viewing.seeks(now()),
    seeked: () => playsNow() && viewing.plays(now()),
    ended: () => {
      viewing.rests(now());
      report();
    },
  };
  listen(player, EVENTS, ({ type }) => acts[type](), signal);
  playback.addEventListener("refused", () => viewing.rests(now()));
  recovery.addEventListener("change", ({ state, reason }) => {
    const kind = state === "unplayable" ? (KINDS[reason] ?? "unsupported") : KINDS[reason];
    if (kind) viewing.fails(kind, state === "gone" || state === "unplayable", now());
  });
  const leave = () => {
    viewing.leaves(now());
    report();
  };
  const timer = setInterval(report, INTERVAL);
  document.addEventListener("visibilitychange", report, { signal });
  addEventListener("pagehide", leave, { signal });
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    clearTimeout(stall);
    leave();
  });
}
