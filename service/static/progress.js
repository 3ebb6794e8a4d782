// Remembers where the viewer stops, and goes on there.

import { formatTime } from "./clock.js";
import { find, focusPlayer, listen, player, stage } from "./page.js";
import { forgetEverything, isAtEnd, saveSeen } from "./seen.js";
import { forgetProgress, readProgress, saveProgress } from "./store.js";

const SKIPPED_START = 5; // seconds at the beginning that are not worth resuming
const SAVE_INTERVAL = 5000; // milliseconds

let disabled = false; // by the viewer, while this page is open
let savedAt = 0;
let wasAtEnd = false; // when it was saved last: a mark that the viewer has removed since stays removed

const isWorthResuming = (second, duration) => second >= SKIPPED_START && !isAtEnd(second, duration);

export function startProgress(playback, signal) {
  wasAtEnd = false;
  const save = () => saveWhere(playback);
  const saveAtTimes = () => {
    if (Date.now() - savedAt > SAVE_INTERVAL && !player.paused) save();
  };
  player.addEventListener("timeupdate", saveAtTimes, { signal });
  listen(player, ["pause", "ended", "seeked"], save, signal);
  addEventListener("pagehide", save, { signal });
  document.addEventListener("visibilitychange", () => document.hidden && save(), { signal });
  signal.addEventListener("abort", save); // the page goes to another video
  playback.addEventListener("ready", () => resume(playback));
  startForgetAll();
}

function saveWhere({ interacted, known, frozen, ended, duration, now: second }) {
  if (!interacted || disabled || !known || frozen || !duration) return;
  const { path } = stage.dataset;
  savedAt = Date.now();
  const isNowAtEnd = ended || isAtEnd(second, duration);
  if (isNowAtEnd && !wasAtEnd) {
    saveSeen(true, path);
    document.dispatchEvent(new Event("seenchange"));
  } else if (isWorthResuming(second, duration)) saveProgress(path, second, duration);
  else forgetProgress(path);
  wasAtEnd = isNowAtEnd;
}

// A time in the link, also one beyond the end, or what the viewer has done already, takes precedence.
function resume(playback) {
  const [resumed, { path, start }] = [find("[data-resumed]"), stage.dataset];
  if (start || find("[data-beyond-end]") || playback.interacted || !resumed) return;
  const entry = readProgress()[path];
  const second = Array.isArray(entry) ? Number(entry[0]) : Number.NaN;
  if (!isWorthResuming(second, playback.duration)) return;
  playback.resumeAt(second);
  resumed.append(find("[data-resumed-words]").content.cloneNode(true));
  resumed.querySelector("b").textContent = formatTime(second);
  resumed.querySelector("[data-over]").addEventListener("click", () => {
    forgetProgress(path);
    clearResumed(resumed);
    playback.seek(0);
  });
  resumed.querySelector("[data-forget]").addEventListener("click", () => {
    forgetProgress(path);
    disabled = true;
    clearResumed(resumed, resumed.dataset.forgotten);
  });
}

function clearResumed(resumed, text = "") {
  focusPlayer();
  resumed.textContent = text;
}

function startForgetAll() {
  const forgetAll = find("[data-forget-all]");
  if (!forgetAll) return;
  forgetAll.hidden = false;
  forgetAll.querySelector("button").addEventListener("click", () => {
    forgetEverything();
    disabled = true;
    const status = forgetAll.querySelector("[role=status]");
    status.textContent = status.dataset.forgotten;
  });
}
