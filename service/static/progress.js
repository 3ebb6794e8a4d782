// Remembers where the viewer stops, and goes on there.

import { formatTime } from "./clock.js";
import { find, player, stage } from "./page.js";
import { forgetAllProgress, forgetProgress, readProgress, saveProgress } from "./store.js";

const SKIPPED_START = 5; // seconds at the beginning that are not worth resuming
const SAVE_INTERVAL = 5000; // milliseconds
const { path } = stage.dataset;
const resumed = find("[data-resumed]");

let disabled = false; // by the viewer, while this page is open
let savedAt = 0;

// The credits are not worth resuming either.
const endMargin = (duration) => Math.min(0.05 * duration, 30);
const isWorthResuming = (second, duration) =>
  second >= SKIPPED_START && second <= duration - endMargin(duration);

export function startProgress(playback) {
  const save = () => saveWhere(playback);
  player.addEventListener("timeupdate", () => {
    if (Date.now() - savedAt > SAVE_INTERVAL && !player.paused) save();
  });
  for (const type of ["pause", "ended", "seeked"]) player.addEventListener(type, save);
  addEventListener("pagehide", save);
  document.addEventListener("visibilitychange", () => document.hidden && save());
  playback.addEventListener("ready", () => resume(playback));
  startForgetAll();
}

function saveWhere({ interacted, known, frozen, duration, now: second }) {
  if (!interacted || disabled || !known || frozen || !duration) return;
  savedAt = Date.now();
  if (!player.ended && isWorthResuming(second, duration)) saveProgress(path, second, duration);
  else forgetProgress(path);
}

// A time in the link, or what the viewer has done already, takes precedence.
function resume(playback) {
  if (stage.dataset.start || playback.interacted || !resumed) return;
  const entry = readProgress()[path];
  const second = Array.isArray(entry) ? Number(entry[0]) : Number.NaN;
  if (!isWorthResuming(second, playback.duration)) return;
  playback.resumeAt(second);
  resumed.append(find("[data-resumed-words]").content.cloneNode(true));
  resumed.querySelector("b").textContent = formatTime(second);
  resumed.querySelector("[data-over]").addEventListener("click", () => {
    forgetProgress(path);
    clearResumed();
    playback.seek(0);
  });
  resumed.querySelector("[data-forget]").addEventListener("click", () => {
    forgetProgress(path);
    disabled = true;
    clearResumed(resumed.dataset.forgotten);
  });
}

function clearResumed(text = "") {
  player.focus();
  resumed.textContent = text;
}

function startForgetAll() {
  const forgetAll = find("[data-forget-all]");
  if (!forgetAll) return;
  forgetAll.hidden = false;
  forgetAll.querySelector("button").addEventListener("click", () => {
    forgetAllProgress();
    disabled = true;
    const status = forgetAll.querySelector("[role=status]");
    status.textContent = status.dataset.forgotten;
  });
}
