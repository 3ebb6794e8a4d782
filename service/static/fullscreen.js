// Full screen of the player with its controls and messages.

import { find, player, stage } from "./page.js";

export function startFullscreen(signal) {
  const button = find("[data-fullscreen]");
  if (!button) return;
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", toggleFullscreen);
  const show = () => button.setAttribute("aria-pressed", String(isFullscreen()));
  document.addEventListener("fullscreenchange", show, { signal });
  show();
}

const isFullscreen = () => document.fullscreenElement === stage;

export async function toggleFullscreen() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else if (!stage.requestFullscreen) player.webkitEnterFullscreen?.();
  else await enter();
}

async function enter() {
  try {
    await stage.requestFullscreen();
    // Phones turn the picture, as their own players do.
    if (player.videoWidth > player.videoHeight) await screen.orientation.lock("landscape");
  } catch {
    // Refused, or not a phone.
  }
}
