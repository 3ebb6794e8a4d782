// Other places to watch: a small window, and devices near by.

import { find, listen, player } from "./page.js";

export function startOutputs(signal) {
  startPictureInPicture(find("[data-pip]"), signal);
  if (player.webkitShowPlaybackTargetPicker) startAirPlay(find("[data-airplay]"), signal);
  else if (player.remote) startCast(find("[data-cast]"), signal);
}

function startPictureInPicture(button, signal) {
  if (!document.pictureInPictureEnabled || !player.requestPictureInPicture) return;
  const show = () => {
    const isSmall = document.pictureInPictureElement === player;
    button.setAttribute("aria-pressed", String(isSmall));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const isSmall = document.pictureInPictureElement === player;
    const done = isSmall ? document.exitPictureInPicture() : player.requestPictureInPicture();
    done.catch(() => {}); // before there is a picture
  });
  listen(player, ["enterpictureinpicture", "leavepictureinpicture"], show, signal);
  show();
}

// Safari's: it has the Remote Playback API as well, but without a name for the button.
function startAirPlay(button, signal) {
  button.addEventListener("click", () => player.webkitShowPlaybackTargetPicker());
  const show = ({ availability }) => (button.hidden = availability !== "available");
  player.addEventListener("webkitplaybacktargetavailabilitychanged", show, { signal });
}

async function startCast(button, signal) {
  button.addEventListener("click", () => player.remote.prompt().catch(() => {})); // cancelled
  try {
    const id = await player.remote.watchAvailability((isNear) => (button.hidden = !isNear));
    const stop = () => player.remote.cancelWatchAvailability(id).catch(() => {});
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  } catch {
    // This browser casts nothing, or not this film.
  }
}
