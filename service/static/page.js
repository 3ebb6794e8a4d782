// The elements that the modules of a player share.

export const find = (selector) => document.querySelector(selector);
export const stage = find("[data-stage]");
export const player = find("[data-player]");

/** Show or hide an overlay of the screen. When it is hidden, its focus goes to the player. */
export function setOverlay(overlay, shown) {
  const hadFocus = !shown && overlay.contains(document.activeElement);
  overlay.hidden = !shown;
  if (hadFocus) player.focus();
}
