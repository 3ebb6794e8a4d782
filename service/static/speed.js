// The speed of playback, which is kept for all videos.

import { find, player } from "./page.js";
import { saveSetting, settings } from "./store.js";
import { showToast } from "./toast.js";

const speeds = () => find("[data-speeds]");

function setSpeed(speed) {
  player.defaultPlaybackRate = speed; // load() returns to it
  player.playbackRate = speed;
}

export function startSpeed(playback, signal) {
  const select = speeds();
  const show = () => {
    const speed = player.playbackRate;
    select.value = String(speed);
    if (select.value === "") select.add(new Option(`${speed}×`, String(speed), false, true));
  };
  const onChange = () => {
    if (playback.frozen) return;
    show();
    const speed = player.playbackRate;
    if (player.defaultPlaybackRate !== speed) player.defaultPlaybackRate = speed;
    if ((settings.speed ?? 1) !== speed) saveSetting("speed", speed);
  };
  player.addEventListener("ratechange", onChange, { signal });
  // Browsers throw at a speed of less than a sixteenth or more than 16.
  if (settings.speed >= 0.1 && settings.speed <= 4) setSpeed(settings.speed);
  show();
  select.addEventListener("change", () => setSpeed(Number(select.value)));
}

/** Go to the next speed of the list, or with -1 to the one before. */
export function stepSpeed(steps) {
  const known = [...speeds().options].map((option) => Number(option.value));
  const index = known.sort((one, other) => one - other).indexOf(player.playbackRate);
  const speed = known[index + steps];
  if (speed) setSpeed(speed);
  showToast("speed", String(player.playbackRate));
}
