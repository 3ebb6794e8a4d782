// The player's own controls, in place of the browser's.
//
// Browsers' own controls know neither storyboards nor chapters, and show the file's own clock. They
// stay where no element but a video can fill the screen, as on iPhones, and without this module.

import { startCaptionMenu } from "./caption_menu.js";
import { startCaptionRoom } from "./caption_room.js";
import { startFullscreen } from "./fullscreen.js";
import { Idle } from "./idle.js";
import { find, player, stage } from "./page.js";
import { startPlayButtons } from "./play_buttons.js";
import { startOutputs } from "./outputs.js";
import { startSeekBar } from "./seek_bar.js";
import { startVolumeControls } from "./volume.js";

export function startControls(playback, signal) {
  const controls = find("[data-controls]");
  if (!controls || !stage.requestFullscreen) return;
  player.controls = false;
  player.tabIndex = -1; // it can have the focus, but is no stop of the Tab key
  controls.hidden = false;
  startPlayButtons(playback, new Idle(controls, signal), signal);
  startSeekBar(playback, readChapters(), signal);
  startVolumeControls(signal);
  startCaptionMenu(signal);
  startCaptionRoom(controls, signal);
  startOutputs(signal);
  startFullscreen(signal);
}

/** Return the chapters that the page lists: `{start, title}`. */
function readChapters() {
  const links = document.querySelectorAll("[data-chapters] a[data-t]");
  if (!links.length) return JSON.parse(stage.dataset.chapterMarks ?? "[]");
  return Array.from(links, (link) => ({
    start: Number(link.dataset.t),
    title: link.querySelector("bdi").textContent,
  }));
}
