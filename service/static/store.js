// What the pages keep in the browser. They also work where nothing can be kept.

const PROGRESS_KEY = "reelay.progress"; // {path: [seconds, duration, milliseconds since 1970]}
const SETTINGS_KEY = "reelay.settings"; // as saveSetting is called with them
const MAX_PROGRESS = 200; // videos

export function readStore(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

export function writeStore(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // The storage is full or not allowed.
  }
}

export const readSettings = () => readStore(SETTINGS_KEY);

/** The settings as this page knows them, also where they cannot be stored. */
export const settings = readSettings();

export function saveSetting(name, value) {
  settings[name] = value;
  writeStore(SETTINGS_KEY, { ...readSettings(), [name]: value }); // keep another page's changes
}

/** Return `{path: [seconds, duration, milliseconds since 1970]}`. Entries may be malformed. */
export const readProgress = () => readStore(PROGRESS_KEY);

/** Save where playback of a video is, in seconds, and keep the newest entries only. */
export function saveProgress(path, seconds, duration) {
  const tenths = (value) => Math.round(value * 10) / 10;
  writeProgress({ ...readProgress(), [path]: [tenths(seconds), tenths(duration), Date.now()] });
}

export function forgetProgress(path) {
  const { [path]: _, ...others } = readProgress();
  writeStore(PROGRESS_KEY, others);
}

export function forgetAllProgress() {
  try {
    localStorage.removeItem(PROGRESS_KEY);
  } catch {
    // Nothing was kept.
  }
}

/** Keep the newest of these entries. */
export function writeProgress(entries) {
  const newest = Object.entries(entries)
    .filter(([, entry]) => Array.isArray(entry) && Number.isFinite(entry[2]))
    .sort(([, one], [, other]) => other[2] - one[2]);
  writeStore(PROGRESS_KEY, Object.fromEntries(newest.slice(0, MAX_PROGRESS)));
}
