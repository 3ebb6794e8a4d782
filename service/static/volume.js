// The volume, which is kept for all videos.

import { find, player } from "./page.js";
import { saveSetting, settings } from "./store.js";
import { showToast } from "./toast.js";

export function startVolume(signal) {
  const { volume, muted } = settings;
  // An embedding page may have asked for a start without sound.
  if (!player.autoplay) {
    if (volume >= 0 && volume <= 1) player.volume = volume;
    if (typeof muted === "boolean") player.muted = muted;
  }
  const save = () => {
    if (settings.volume !== player.volume) saveSetting("volume", player.volume);
    if (settings.muted !== player.muted) saveSetting("muted", player.muted);
  };
  player.addEventListener("volumechange", save, { signal });
}

/** Change the volume, of which 1 is all. */
export function changeVolume(by) {
  player.volume = Math.min(1, Math.max(0, Math.round((player.volume + by) * 100) / 100));
  if (by > 0) player.muted = false;
  showToast("volume", String(Math.round(player.volume * 100)));
}

export function toggleMute() {
  player.muted = !player.muted;
  showToast(player.muted ? "muted" : "loud");
}

export function startVolumeControls(signal) {
  const [button, range] = [find("[data-mute]"), find("[data-volume-slider]")];
  const show = () => {
    const { volume, muted } = player;
    button.setAttribute("aria-pressed", String(muted));
    button.dataset.level = muted || volume === 0 ? "off" : volume < 0.5 ? "low" : "high";
    range.value = muted ? 0 : volume;
    range.style.setProperty("--played", range.value);
    range.setAttribute("aria-valuetext", `${Math.round(100 * range.value)} %`);
  };
  button.addEventListener("click", () => {
    player.muted = !player.muted;
  });
  range.addEventListener("input", () => {
    player.volume = Number(range.value);
    player.muted = false;
  });
  player.addEventListener("volumechange", show, { signal });
  show();
}
