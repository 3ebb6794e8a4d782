// Messages over the screen while a player recovers from a failure.

import { find, focusPlayer } from "./page.js";

const SKIPPED = 10; // seconds

export function showRecovery(playback, recovery) {
  const banner = find(".banner");
  const texts = banner.dataset;
  const retry = () => button(texts.retry, () => recovery.retry());
  const actions = {
    waiting: () => [retry()],
    gone: () => (texts.folderUrl ? [folderLink(texts)] : []),
    unplayable: () => [
      button(texts.retry, () => recovery.reload()),
      button(texts.skip, () => {
        playback.skip(SKIPPED);
        recovery.reload();
      }),
    ],
  };
  recovery.addEventListener("change", ({ state, reason }) => {
    if (reason) showBanner(banner, texts[reason], actions[state]?.() ?? []);
    else if (state === "playing" || state === "unplayable") clearBanner(banner);
  });
}

function showBanner(banner, message, actions) {
  const texts = banner.dataset;
  if (texts.message === message) return; // it is announced once, and its button keeps the focus
  texts.message = message;
  const text = document.createElement("p");
  text.textContent = message;
  banner.replaceChildren(text, ...actions);
}

function clearBanner(banner) {
  if (banner.contains(document.activeElement)) focusPlayer();
  delete banner.dataset.message;
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

function folderLink(texts) {
  const link = document.createElement("a");
  link.className = "button";
  link.href = texts.folderUrl;
  link.textContent = texts.folder;
  return link;
}
