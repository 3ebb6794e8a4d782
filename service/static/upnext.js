// Goes to other videos of the folder, and plays the next one at the end if the viewer wants it.

import { find, player, setOverlay, stage } from "./page.js";
import { saveSetting, settings } from "./store.js";

const AUTOPLAY_KEY = "reelay.play"; // per tab: the path of the video to play when its page opens

export function startUpNext(playback) {
  playback.addEventListener("ready", () => isToPlay() && playback.play());
  const autoplay = find("[data-autoplay]");
  const overlay = find("[data-upnext]");
  if (!autoplay) return;
  autoplay.hidden = false;
  const box = autoplay.querySelector("input");
  box.checked = settings.autoplay === true;
  box.addEventListener("change", () => saveSetting("autoplay", box.checked));
  if (overlay) startCountdown(overlay);
}

/** Open another video's page, and play it if wanted. */
export function navigate(link, play) {
  if (!link) return;
  try {
    const path = decodeURIComponent(new URL(link.href).pathname).replace(/^\/watch\//, "");
    if (play) sessionStorage.setItem(AUTOPLAY_KEY, path);
  } catch {
    // Without storage the viewer presses play.
  }
  location.assign(link.href);
}

function isToPlay() {
  try {
    const path = sessionStorage.getItem(AUTOPLAY_KEY);
    sessionStorage.removeItem(AUTOPLAY_KEY);
    return path === stage.dataset.path;
  } catch {
    return false;
  }
}

function startCountdown(overlay) {
  const status = overlay.querySelector("[role=status]");
  const counter = overlay.querySelector(".countdown");
  const now = overlay.querySelector("[data-now]");
  let timer;
  const cancel = () => {
    clearInterval(timer);
    if (!overlay.hidden) setOverlay(overlay, false);
    status.replaceChildren();
  };
  const count = () => {
    cancel();
    let left = Number(status.dataset.seconds);
    counter.textContent = left;
    setOverlay(overlay, true);
    status.append(overlay.querySelector("template").content.cloneNode(true));
    timer = setInterval(() => {
      counter.textContent = left -= 1;
      if (left > 0) return;
      clearInterval(timer);
      navigate(now, true);
    }, 1000);
  };
  player.addEventListener("ended", () => settings.autoplay === true && count());
  now.addEventListener("click", (event) => {
    event.preventDefault();
    navigate(now, true);
  });
  overlay.querySelector("[data-cancel]").addEventListener("click", cancel);
  for (const type of ["play", "seeking"]) {
    player.addEventListener(type, () => !overlay.hidden && cancel());
  }
  addEventListener("keydown", (event) => event.key === "Escape" && !overlay.hidden && cancel());
  addEventListener("pageshow", cancel); // back from the next video
}
