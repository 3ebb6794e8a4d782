// What the browser remembers of watched videos, as the text of a file.

import { inProgress, readSeen, validProgress, validSeen, writeSeen } from "./seen.js";
import { readProgress, writeProgress } from "./store.js";

/** Return what is kept. */
export function exportHistory() {
  const history = { reelay: 1, progress: Object.fromEntries(inProgress()), seen: readSeen() };
  return JSON.stringify(history, null, 1);
}

/**
 * Add what `exportHistory` returned to what is kept; of both, the newer stays. Return the number of
 * videos in it. Throws an error if it is something else.
 */
export function importHistory(text) {
  const history = JSON.parse(text);
  if (history?.reelay !== 1) throw new TypeError("no history");
  const [seen, progress] = [validSeen(history.seen), validProgress(history.progress)];
  writeSeen(newest(readSeen(), seen, (time) => time));
  writeProgress(newest(readProgress(), progress, (entry) => entry?.[2]));
  return new Set([...seen, ...progress].map(([path]) => path)).size;
}

function newest(kept, entries, timeOf) {
  const merged = { ...kept };
  for (const [path, entry] of entries) {
    if (!(timeOf(merged[path]) > timeOf(entry))) merged[path] = entry;
  }
  return merged;
}
