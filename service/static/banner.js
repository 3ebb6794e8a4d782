// Messages over the screen while a player recovers from a failure.

import { find, player } from "./page.js";

const SKIPPED = 10; // seconds
const banner = find(".banner");
const texts = banner.dataset;

export function showRecovery(playback, recovery) {
  const retry = () => button(texts.retry, () => recovery.retry());
  const actions = {
    waiting: () => [retry()],
    gone: () => [folderLink()],
    unplayable: () => [
      button(texts.retry, () => recovery.reload()),
      button(texts.skip, () => {
        playback.skip(SKIPPED);
        recovery.reload();
      }),
    ],
  };
  recovery.addEventListener("change", ({ state, reason }) => {
    if (reason) showBanner(texts[reason], actions[state]?.() ?? []);
    else if (state === "playing" || state === "unplayable") clearBanner();
  });
}

function showBanner(message, actions) {
  if (texts.message === message) return; // it is announced once, and its button keeps the focus
  texts.message = message;
  const text = document.createElement("p");
  text.textContent = message;
  banner.replaceChildren(text, ...actions);
}

function clearBanner() {
  if (banner.contains(document.activeElement)) player.focus();
  delete texts.message;
  banner.replaceChildren();
}

function button(label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button";
  element.textContent = label;
  element.addEventListener("click", act);
  return element;
}

function folderLink() {
  const link = document.createElement("a");
  link.className = "button";
  link.href = texts.folderUrl;
  link.textContent = texts.folder;
  return link;
}
