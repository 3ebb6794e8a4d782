// Marks cards: a line on what was begun, a tick on what was seen, a count on folders.

import { useModule } from "./lazy.js";
import { videoPathOf } from "./paths.js";
import { inProgress, readSeen, saveSeen } from "./seen.js";

const template = document.querySelector("[data-marks]");

/** Mark the cards in an element, and update earlier marks. */
export function markCards(element) {
  if (!template) return;
  const marks = { progress: new Map(inProgress()), seen: readSeen() };
  for (const card of element.querySelectorAll(".card")) markCard(card, marks);
}

const SWEEP_TYPES = ["pointerover", "focusin"];

/**
 * Have frames of a video sweep over its card; the module for it is loaded when it is wanted, perhaps by
 * an event that has come already.
 */
export function startSweeps(first) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const start = (event) => {
    if (!event.target.closest?.(".card[data-storyboard]")) return;
    for (const type of SWEEP_TYPES) document.removeEventListener(type, start);
    useModule(
      () => import("./sweep.js"),
      ({ startSweeps }) => startSweeps(event),
    );
  };
  for (const type of SWEEP_TYPES) document.addEventListener(type, start);
  if (first) start(first);
}

function markCard(card, { progress, seen }) {
  if (card.dataset.prefixes) {
    markFolder(card, seen);
    return;
  }
  const link = card.querySelector('a[href*="/watch/"]');
  const path = link && videoPathOf(link.href);
  if (path === null) return;
  const [seconds, duration] = progress.get(path) ?? [];
  markProgress(card, duration ? Math.min(1, seconds / duration) : null);
  card.toggleAttribute("data-seen", path in seen);
  toggleOf(card, path).setAttribute("aria-pressed", String(path in seen));
}

function markProgress(card, part) {
  let line = card.querySelector(".watched");
  if (part === null) {
    line?.remove();
    return;
  }
  if (!line) {
    line = template.content.querySelector("progress").cloneNode();
    card.querySelector(".tile").append(line);
  }
  line.value = part;
}

/** Return the button of a card that says whether its video was seen, and add it if need be. */
function toggleOf(card, path) {
  const existing = card.querySelector(".seen");
  if (existing) return existing;
  const button = template.content.querySelector("button").cloneNode(true);
  const title = card.querySelector("a").textContent.trim();
  const label = button.getAttribute("aria-label").replace("{title}", () => title);
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => {
    saveSeen(button.getAttribute("aria-pressed") !== "true", path);
    document.dispatchEvent(new Event("seenchange"));
  });
  card.append(button);
  return button;
}

function markFolder(card, seen) {
  const prefixes = JSON.parse(card.dataset.prefixes);
  const all = Number(card.dataset.count);
  const details = card.querySelector(".details");
  details.dataset.unmarked ??= details.textContent;
  // Files that are gone may be among those that were seen.
  const isInside = (path) => prefixes.some((prefix) => path.startsWith(prefix));
  const count = Math.min(all, Object.keys(seen).filter(isInside).length);
  const words = template.content.querySelector("[data-count]").dataset.count;
  const text = words.replace("{seen}", count.toLocaleString("en"));
  details.textContent = count
    ? text.replace("{count}", all.toLocaleString("en"))
    : details.dataset.unmarked;
  card.toggleAttribute("data-seen", all > 0 && count === all);
}
