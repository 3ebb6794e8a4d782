// Copies a link to the current moment, and the HTML to embed the player.

import { find } from "./page.js";

const COPIED_FOR = 3000; // milliseconds for which the message is shown
const status = find(".tool-status");

export function startShare(playback) {
  const tools = find("[data-tools]");
  if (tools) {
    tools.hidden = false;
    tools.querySelector("[data-copy]").addEventListener("click", () => copyLink(playback));
  }
  const copyEmbed = find("[data-copy-embed]");
  if (copyEmbed) {
    copyEmbed.hidden = false;
    const code = find("#embed-code");
    code.addEventListener("focus", () => code.select());
    copyEmbed.addEventListener("click", () => copy(code.value, () => code.focus()));
  }
}

function copyLink(playback) {
  const link = new URL(location.pathname, location.href);
  const second = Math.floor(playback.now);
  if (second > 0) link.searchParams.set("t", second);
  copy(link.href, () => {
    const field = find("[data-copy-field]");
    field.hidden = false;
    const input = field.querySelector("input");
    input.value = link.href;
    input.focus();
    input.select();
  });
}

/** Copy a text; where that is not allowed, call `showField` so that the viewer can do it. */
async function copy(text, showField) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = "";
    status.textContent = status.dataset.copied;
    setTimeout(() => (status.textContent = ""), COPIED_FOR);
  } catch {
    showField();
  }
}
