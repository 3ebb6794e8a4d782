// Shows and hides captions by a key.

import { player } from "./page.js";
import { showToast } from "./toast.js";

let lastShown = null;

export function toggleCaptions() {
  const tracks = [...player.textTracks].filter(({ kind }) =>
    ["subtitles", "captions"].includes(kind),
  );
  const shown = tracks.find((track) => track.mode === "showing");
  if (shown) {
    lastShown = shown;
    shown.mode = "disabled";
    showToast("captionsOff");
    return;
  }
  const track =
    (tracks.includes(lastShown) && lastShown) || tracks.find(isViewersLanguage) || tracks[0];
  if (track) track.mode = "showing";
  showToast(track ? "captions" : "noCaptions", track?.label);
}

const isViewersLanguage = ({ language }) =>
  navigator.languages.some((one) => one.split("-")[0] === language.split("-")[0]);
