// Play and pause: a button, a large one, and the picture itself.

import { toggleFullscreen } from "./fullscreen.js";
import { find, listen, player, stage } from "./page.js";

const STEP = 10; // seconds, by two taps
const byTouch = matchMedia("(pointer: coarse)");

export function startPlayButtons(playback, idle, signal) {
  const [button, large] = [find("[data-play]"), find("[data-large-play]")];
  for (const one of [button, large]) one?.addEventListener("click", () => playback.toggle());
  const show = () => {
    const { play, pause } = button.dataset;
    const isPlaying = !player.paused && !player.ended;
    stage.toggleAttribute("data-playing", isPlaying);
    button.setAttribute("aria-label", isPlaying ? pause : play);
  };
  listen(player, ["play", "pause", "ended", "emptied"], show, signal);
  show();
  if (large) startLargeButton(large, playback, signal);
  if (player.localName === "video") startPicture(playback, idle, signal);
  startWaiting(signal);
}

// The large button is there before the film has begun, and for fingers whenever it is paused.
function startLargeButton(large, playback, signal) {
  large.hidden = !player.paused;
  const hide = () => {
    if (large.contains(document.activeElement)) find("[data-play]").focus();
    large.hidden = true;
  };
  const show = () => {
    large.hidden = !byTouch.matches || playback.frozen;
  };
  player.addEventListener("play", hide, { signal });
  player.addEventListener("pause", show, { signal });
  playback.addEventListener("refused", () => {
    large.hidden = false;
    large.querySelector("span").textContent = large.dataset.refused;
  });
}

// A click pauses. A tap shows the controls, and two taps seek, as fingers hit buttons less well.
function startPicture(playback, idle, signal) {
  const onClick = ({ pointerType }) => {
    if (pointerType !== "touch") playback.toggle();
    else if (idle.isIdle) idle.wake();
    else idle.rest();
  };
  const onDoubleClick = ({ pointerType, clientX }) => {
    if (pointerType !== "touch") {
      toggleFullscreen();
      return;
    }
    const { left, width } = player.getBoundingClientRect();
    playback.seek(playback.now + (clientX < left + width / 2 ? -STEP : STEP));
  };
  player.addEventListener("click", onClick, { signal });
  player.addEventListener("dblclick", onDoubleClick, { signal });
}

function startWaiting(signal) {
  const wait = () => stage.toggleAttribute("data-waiting", !player.paused);
  const goOn = () => stage.removeAttribute("data-waiting");
  player.addEventListener("waiting", wait, { signal });
  listen(player, ["playing", "canplay", "pause", "error", "emptied"], goOn, signal);
}
