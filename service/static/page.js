// The elements that the modules of a player share.

export const find = (selector) => document.querySelector(selector);

// These two stay while the page goes from one video to another: see navigation.js.
export const stage = find("[data-stage]");
export const player = find("[data-player]");

/** Show a text, and after it what the server says, perhaps in another writing direction. */
export function showText(element, text, details) {
  element.textContent = text;
  if (!details) return;
  const isolated = document.createElement("bdi");
  isolated.textContent = details;
  element.append(" ", isolated);
}

/** Listen to several types of events until the signal is aborted. */
export function listen(target, types, act, signal) {
  for (const type of types) target.addEventListener(type, act, { signal });
}

/** Give the player the focus, for its keys: its own controls, or the browser's. */
export function focusPlayer() {
  const button = find("[data-play]");
  if (button?.checkVisibility()) button.focus({ preventScroll: true });
  else player.focus({ preventScroll: true });
}

/** Show or hide an overlay of the screen. When it is hidden, its focus goes to the player. */
export function setOverlay(overlay, shown) {
  const hadFocus = !shown && overlay.contains(document.activeElement);
  overlay.hidden = !shown;
  if (hadFocus) focusPlayer();
}
