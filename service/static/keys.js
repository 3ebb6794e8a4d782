// The keyboard shortcuts, and the dialog that lists them.

import { toggleCaptions } from "./captions.js";
import { toggleFullscreen } from "./fullscreen.js";
import { find, player, stage } from "./page.js";
import { stepSpeed } from "./speed.js";
import { saveSetting, settings } from "./store.js";
import { toggleTheatre } from "./theatre.js";
import { changeVolume, toggleMute } from "./volume.js";

const dialog = () => find("[data-keys-dialog]");

// A control with the focus has these keys to itself, but the seek bar leaves arrows to the player.
const NATIVE = new Set([" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);
const TYPING =
  "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=range])";
const PRESSED = "a, button, summary, input:not([data-seek]), pre, dialog, [role=button]";

export function startKeys(playback, navigation, sounds, signal) {
  const shortcuts = shortcutsOf(playback, navigation, sounds);
  const onKey = (event) => {
    const act = shortcuts[nameOf(event)];
    if (!act || isForOthers(event)) return;
    event.preventDefault();
    act();
  };
  document.addEventListener("keydown", onKey, { signal });
  find("[data-keys]")?.addEventListener("click", toggleDialog);
  if (!dialog()) return;
  const enabled = dialog().querySelector("[data-keys-on]");
  enabled.checked = settings.keys !== false;
  enabled.addEventListener("change", () => saveSetting("keys", enabled.checked));
}

function shortcutsOf(playback, navigation, sounds) {
  const by = (seconds) => () => playback.seek(playback.position + seconds);
  const shortcuts = {
    " ": () => playback.toggle(),
    k: () => playback.toggle(),
    j: by(-10),
    l: by(10),
    ArrowLeft: by(-5),
    ArrowRight: by(5),
    ArrowUp: () => changeVolume(0.1),
    ArrowDown: () => changeVolume(-0.1),
    m: toggleMute,
    c: toggleCaptions,
    a: () => sounds.next(),
    f: toggleFullscreen,
    t: toggleTheatre,
    ",": () => stepFrames(playback, -1),
    ".": () => stepFrames(playback, 1),
    "<": () => stepSpeed(-1),
    ">": () => stepSpeed(1),
    N: () => navigation.open(find("[data-next]"), playback.playing),
    P: () => navigation.open(find("[data-prev]"), playback.playing),
    "?": toggleDialog,
  };
  for (let tenth = 0; tenth < 10; tenth += 1) {
    shortcuts[tenth] = () => playback.duration && playback.seek((playback.duration * tenth) / 10);
  }
  return shortcuts;
}

/** Go some frames forward or back while the player is paused. */
function stepFrames(playback, frames) {
  const rate = Number(stage.dataset.frameRate) || 25;
  if (player.paused) playback.seek(playback.now + frames / rate);
}

// Caps Lock alone does not change which shortcut a letter is.
function nameOf({ key, shiftKey }) {
  return shiftKey || key.length > 1 ? key : key.toLowerCase();
}

/** Return whether a key is meant for a control, the browser or the page instead of the player. */
function isForOthers(event) {
  const { key, target } = event;
  if (event.defaultPrevented || event.isComposing) return true;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  if (event.shiftKey && key.length > 1) return true;
  if (settings.keys === false && key !== "?") return true;
  if (target.closest(TYPING) || (dialog()?.open && key !== "?")) return true;
  const isNative = (target === player && player.controls) || target.closest(PRESSED);
  if (NATIVE.has(key) && isNative) return true;
  // These scroll the page, unless the player has the focus.
  return /^Arrow(Up|Down)$/.test(key) && !stage.contains(document.activeElement);
}

function toggleDialog() {
  if (dialog()?.open) dialog().close();
  else dialog()?.showModal();
}
