// What the watch page shows of what was seen: the button of its video, and marks in the lists beside
// the player.

import { find, stage } from "./page.js";
import { videoPathOf } from "./paths.js";
import { followHistory, readSeen, saveSeen } from "./seen.js";

/** Start the button, and mark what was seen. */
export function startSeenMarks() {
  const button = find("[data-seen-toggle]");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      saveSeen(button.getAttribute("aria-pressed") !== "true", stage.dataset.path);
      document.dispatchEvent(new Event("seenchange"));
    });
  }
  showSeen();
}

function showSeen() {
  const seen = readSeen();
  find("[data-seen-toggle]")?.setAttribute("aria-pressed", String(stage.dataset.path in seen));
  for (const row of document.querySelectorAll(".neighbour")) {
    markRow(row, videoPathOf(row.href) in seen);
  }
}

function markRow(row, isSeen) {
  const mark = row.querySelector(".seen-mark");
  row.toggleAttribute("data-seen", isSeen);
  if (!isSeen) mark?.remove();
  else if (!mark) {
    row.querySelector(".neighbour-text").append(find("[data-seen-mark]").content.cloneNode(true));
  }
}

followHistory(showSeen);
