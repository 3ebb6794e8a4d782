// Which captions are shown: as the viewer last chose, by key or by menu.

import { player } from "./page.js";
import { saveSetting, settings } from "./store.js";
import { showToast } from "./toast.js";

// Tracks are remembered by language, so that the choice holds for other videos.
const nameOf = ({ language, label }) => language || label;
const primary = (language) => language.split("-")[0].toLowerCase();

export const captionTracks = () =>
  [...player.textTracks].filter(({ kind }) => ["subtitles", "captions"].includes(kind));

export const shownCaptions = () => captionTracks().find(({ mode }) => mode === "showing") ?? null;

export function startCaptions(signal) {
  restore();
  // The browser's own menu, where its controls are shown, has no other event. Without them, a change
  // that is not ours is a choice by the language of the system: after a step to the next video,
  // Chromium shows its own choice besides the viewer's.
  const onChange = () => (player.controls ? remember(shownCaptions()) : restore());
  player.textTracks.addEventListener("change", onChange, { signal });
}

/** Show one of the tracks, or none with null, and remember that. */
export function chooseCaptions(track) {
  show(track);
  remember(track);
}

export function toggleCaptions() {
  const track = shownCaptions() ? null : preferredTrack();
  if (track || shownCaptions()) chooseCaptions(track);
  const off = captionTracks().length ? "captionsOff" : "noCaptions";
  showToast(track ? "captions" : off, track?.label);
}

function show(track) {
  for (const other of captionTracks()) other.mode = other === track ? "showing" : "disabled";
}

function restore() {
  const { captions } = settings;
  if (captions === "") show(null);
  const track = typeof captions === "string" && captions ? trackNamed(captions) : null;
  if (track) show(track);
}

function remember(track) {
  const captions = track ? nameOf(track) : "";
  if (track) saveSetting("lastCaptions", captions);
  if (settings.captions !== captions) saveSetting("captions", captions);
}

function preferredTrack() {
  const { lastCaptions } = settings;
  const isViewers = ({ language }) =>
    navigator.languages.some((one) => primary(one) === primary(language));
  const tracks = captionTracks();
  return (
    (lastCaptions && trackNamed(lastCaptions)) || tracks.find(isViewers) || (tracks[0] ?? null)
  );
}

/** Return the track of a name, or one in another form of the same language. */
function trackNamed(name) {
  const tracks = captionTracks();
  return (
    tracks.find((track) => nameOf(track) === name) ??
    tracks.find(({ language }) => language && primary(language) === primary(name))
  );
}
