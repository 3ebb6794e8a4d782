// Shows frames of a video on its card, one after the other, while the pointer or the focus is on it.
// Nothing is loaded before.

import { storyboardUrl, videoPathOf } from "./paths.js";
import { fetchStoryboard } from "./storyboard.js";

const DELAY = 500; // milliseconds until it begins: a pointer that only passes loads nothing
const PACE = 600; // milliseconds for a frame
const FRAMES = 12;
const SVG = "http://www.w3.org/2000/svg";

let stop = null; // ends the sweep that is shown

/** Sweep over the cards that the pointer or the focus is on; `first` is an event of the first. */
export function startSweeps(first) {
  document.addEventListener("pointerover", enter);
  document.documentElement.addEventListener("pointerleave", () => begin(null, "pointer"));
  document.addEventListener("focusin", enter);
  document.addEventListener("focusout", () => begin(null, "focus"));
  enter(first);
}

function enter({ type, target, pointerType }) {
  const card = target.closest?.(".card[data-storyboard]") ?? null;
  if (type === "focusin" && target.matches(":focus-visible")) begin(card, "focus");
  else if (type === "pointerover" && pointerType === "mouse") begin(card, "pointer");
}

/** Begin with a card, or end what was begun for the same reason: the pointer or the focus. */
function begin(card, reason) {
  if (card ? stop?.card === card : stop?.reason !== reason) return;
  stop?.();
  stop = card ? sweep(card, reason) : null;
}

function sweep(card, reason) {
  const leave = new AbortController();
  const timer = setTimeout(() => showFrames(card, leave.signal), DELAY);
  const end = () => {
    clearTimeout(timer);
    leave.abort();
  };
  return Object.assign(end, { card, reason });
}

async function showFrames(card, signal) {
  const path = videoPathOf(card.querySelector("a").href);
  const tiles = await fetchStoryboard(storyboardUrl(path), signal);
  if (signal.aborted || tiles.length < 2) return;
  const count = Math.min(FRAMES, tiles.length);
  const chosen = Array.from(
    { length: count },
    (_, n) => tiles[Math.floor((n * tiles.length) / count)],
  );
  const frame = document.createElementNS(SVG, "svg");
  const image = document.createElementNS(SVG, "image");
  frame.classList.add("sweep");
  frame.setAttribute("aria-hidden", "true");
  frame.append(image);
  let number = 0;
  const show = () => {
    const { sheet, x, y, width, height } = chosen[number % count];
    frame.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    if (image.getAttribute("href") !== sheet) image.setAttribute("href", sheet);
    number += 1;
  };
  if (!(await isLoaded(chosen[0].sheet)) || signal.aborted) return;
  show();
  card.querySelector(".tile").append(frame);
  const timer = setInterval(show, PACE);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    frame.remove();
  });
}

async function isLoaded(url) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    return true;
  } catch {
    return false;
  }
}
