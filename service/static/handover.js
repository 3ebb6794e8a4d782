// Whether a page is to play its video as soon as it opens: the viewer pressed a link to it.

import { videoPathOf } from "./paths.js";

const KEY = "reelay.play"; // per tab: the path of the video, and when its link was pressed
const LIFETIME = 60_000; // milliseconds: a page that opens later was opened in another way

/** Return whether a click is to follow the link here, and not in another tab or as a download. */
export const isPlainClick = ({ button, ctrlKey, metaKey, shiftKey, altKey }) =>
  !button && !ctrlKey && !metaKey && !shiftKey && !altKey;

/** Have the page of a URL play its video. */
export function askToPlay(url) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([videoPathOf(url), Date.now()]));
  } catch {
    // Without storage the viewer presses play.
  }
}

/** Play what is clicked on: a click on the card of a video is a wish to watch it. */
export function playOnClick() {
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || !isPlainClick(event)) return;
    if (videoPathOf(link.href) !== null) askToPlay(link.href);
  });
}

/** Return whether the video of a path is to be played, and forget that. */
export function isAskedToPlay(path) {
  try {
    const wish = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    const [asked, time] = JSON.parse(wish);
    return asked === path && Math.abs(Date.now() - time) < LIFETIME;
  } catch {
    return false;
  }
}
