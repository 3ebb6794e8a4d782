// Copies a link to the current moment, and the HTML to embed the player; makes share links.

import { copyField, copyText } from "./copy.js";
import { startMakingLinks } from "./make_link.js";
import { find } from "./page.js";

export function startShare(playback) {
  const tools = find("[data-tools]");
  if (tools) {
    tools.hidden = false;
    tools.querySelector("[data-copy]")?.addEventListener("click", () => copyLink(playback));
  }
  const copyEmbed = find("[data-copy-embed]");
  if (copyEmbed) {
    copyEmbed.hidden = false;
    const code = find("#embed-code");
    code.addEventListener("focus", () => code.select());
    copyEmbed.addEventListener("click", () => copyField(code, find(".tool-status")));
  }
  startMakingLinks(() => playback.now);
}

function copyLink(playback) {
  const link = new URL(location.pathname, location.href);
  const second = Math.floor(playback.now);
  if (second > 0) link.searchParams.set("t", second);
  copyText(link.href, find(".tool-status"), () => {
    const field = find("[data-copy-field]");
    field.hidden = false;
    const input = field.querySelector("input");
    input.value = link.href;
    input.focus();
    input.select();
  });
}
