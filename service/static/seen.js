// Which videos were seen to their end, or were marked as seen. The browser keeps it, as the progress.

import { forgetAllProgress, forgetProgress, readProgress, readStore, writeStore } from "./store.js";

const SEEN_KEY = "reelay.seen"; // {path: milliseconds since 1970}
const MAX_SEEN = 5000; // videos: half a megabyte, of the five that browsers allow
const MAX_PATH = 4096; // characters

// The last minutes are mostly credits.
const endMargin = (duration) => Math.min(0.05 * duration, 300);

/** Return whether a video counts as seen at this second. */
export const isAtEnd = (second, duration) => second > duration - endMargin(duration);

/** Return `{path: milliseconds since 1970}` of what was seen. */
export const readSeen = () => Object.fromEntries(validSeen(readStore(SEEN_KEY)));

/** Keep whether videos were seen, the last of them last. Where they were left is forgotten in both cases. */
export function saveSeen(isSeen, ...paths) {
  const seen = readSeen();
  const now = Date.now();
  for (const [place, path] of paths.entries()) {
    if (isSeen) seen[path] = now - (paths.length - 1 - place);
    else delete seen[path];
    forgetProgress(path);
  }
  writeSeen(seen);
}

export function forgetEverything() {
  forgetAllProgress();
  writeStore(SEEN_KEY, {});
}

/** Return `[path, [seconds, duration, time]]` of each video in progress, the newest first. */
export function inProgress() {
  return validProgress(readProgress()).sort(([, one], [, other]) => other[2] - one[2]);
}

const entriesOf = (value) =>
  value && typeof value === "object" ? Object.entries(value).filter(isShort) : [];
const isShort = ([path]) => path.length <= MAX_PATH;
/** Return the valid entries of what may be damaged or come from a file. */
export const validSeen = (seen) => entriesOf(seen).filter(([, time]) => Number.isFinite(time));
export const validProgress = (progress) =>
  entriesOf(progress).filter(([, entry]) => {
    if (!Array.isArray(entry) || entry.length !== 3 || !entry.every(Number.isFinite)) return false;
    return entry[0] > 0 && entry[1] > 0;
  });

/** Keep the newest of these entries. */
export function writeSeen(seen) {
  const entries = Object.entries(seen).sort(([, one], [, other]) => other - one);
  writeStore(SEEN_KEY, Object.fromEntries(entries.slice(0, MAX_SEEN)));
}

/** Call `update` when what is kept may have changed: on this page, on another, or in another tab. */
export function followHistory(update) {
  let isStale = false;
  // A film that plays in another tab saves its position every few seconds: a hidden page waits.
  const updateIfSeen = () => {
    isStale = document.hidden;
    if (!isStale) update();
  };
  addEventListener("storage", updateIfSeen); // another tab
  document.addEventListener("visibilitychange", () => isStale && updateIfSeen());
  addEventListener("pageshow", (event) => event.persisted && update()); // back from a video
  document.addEventListener("seenchange", update);
}
