// What browsers' own controls do, for the keys.

import { player, stage } from "./page.js";
import { showToast } from "./toast.js";

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

export function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
  else player.webkitEnterFullscreen?.();
}

/** Go some frames forward or back while the player is paused. */
export function stepFrames(playback, frames) {
  const rate = Number(stage.dataset.frameRate) || 25;
  if (player.paused) playback.seek(playback.now + frames / rate);
}
