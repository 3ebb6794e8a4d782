// Moves cues at the bottom of the picture up while the controls are there.

import { captionTracks } from "./captions.js";
import { listen, player, stage } from "./page.js";

// A line of a cue is a twentieth of the picture's height (WebVTT §7.4) times the viewer's size.
const LINE = 0.06; // of the height, with the space between lines
const SIZES = { small: 0.75, normal: 1, large: 1.5, huge: 2 }; // as in controls.css
const LINES = 2; // lines of text that are to stand above the controls

export function startCaptionRoom(controls, signal) {
  const moved = new Set(); // cues that had no line of their own
  const update = () => {
    const isCovered = !stage.hasAttribute("data-idle");
    const line = isCovered ? lineAbove(controls) : "auto";
    for (const track of captionTracks()) {
      if (track.mode !== "showing") continue;
      const isChanged = moveCues(track.cues, line, moved);
      if (isChanged && track.activeCues?.length) redraw(track);
    }
  };
  // Events of <track> do not bubble; those of the menu do.
  player.addEventListener("load", update, { capture: true, signal });
  player.textTracks.addEventListener("change", update, { signal });
  listen(stage, ["idlechange", "change"], update, signal);
  const sizes = new ResizeObserver(update);
  sizes.observe(player);
  signal.addEventListener("abort", () => sizes.disconnect());
}

/** Return the number of the line, from the bottom, at which cues are clear of the controls. */
function lineAbove(controls) {
  const size = SIZES[document.documentElement.dataset.captionSize] ?? 1;
  const height = player.clientHeight * LINE * size;
  const shade = Number.parseFloat(getComputedStyle(controls).paddingBlockStart);
  return -Math.ceil((controls.offsetHeight - shade) / height) - (LINES - 1);
}

/** Move cues without a line of their own to a line; return whether any has moved. */
function moveCues(cues, line, moved) {
  const free = [...(cues ?? [])].filter((cue) => cue.line === "auto" || moved.has(cue));
  const wrong = free.filter((cue) => cue.line !== line);
  for (const cue of wrong) {
    cue.line = line;
    moved.add(cue);
  }
  return wrong.length > 0;
}

// Chromium does not move a cue that it shows.
function redraw(track) {
  track.mode = "hidden";
  track.mode = "showing";
}
