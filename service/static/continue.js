// The row of what the viewer may want to watch next: what was begun, and the episodes that follow those
// that were seen. It has its place before the first paint; its cards come later.

import { useModule } from "./lazy.js";
import { isOpen } from "./paths.js";
import { inProgress, readSeen } from "./seen.js";
import { settings } from "./store.js";

export const MAX_CARDS = 12;
const MAX_FOLLOWED = 6; // videos that were seen last, of which the next one is looked up

const row = document.querySelector(".continue");
const list = row?.querySelector(".rail");
const template = row?.querySelector("template");
let shown = 0; // the latest call of showRow

/** Show the row if there is something in it, but not during a search: results come first then. */
export async function showRow(searching) {
  if (!row) return;
  shown += 1;
  const call = shown;
  const open = ([path]) => isOpen(path);
  const begun = searching ? [] : inProgress().filter(open).slice(0, MAX_CARDS);
  const seen = searching ? {} : readSeen();
  const followed = lastSeen(seen).filter(open).slice(0, MAX_FOLLOWED);
  if (!begun.length && !followed.length) {
    closeRow();
    return;
  }
  // Whether something follows what was seen, only the service knows: probably as it was the last time.
  const expected = begun.length || (followed.length && settings.upNext === true ? 1 : 0);
  if (expected) row.hidden = false;
  if (list.children.length === 0)
    list.replaceChildren(...Array.from({ length: expected }, skeleton));
  await useModule(
    () => import("./continue_cards.js"),
    async ({ findCards }) => {
      const cards = await findCards(template, begun, followed, seen);
      if (call === shown) showCards(cards, begun.length > 0);
    },
    closeRow,
  );
}

function showCards(cards, wasExpected) {
  if (!cards.length && wasExpected) {
    // None of the videos exists any more. The row keeps its height: what is below would jump.
    list.style.minBlockSize = `${list.offsetHeight}px`;
    cards.push(template.content.querySelector(".none").cloneNode(true));
  }
  row.hidden = cards.length === 0;
  if (!list.contains(document.activeElement)) list.replaceChildren(...cards);
}

const lastSeen = (seen) => Object.entries(seen).sort(([, one], [, other]) => other - one);

/** Return an empty card, as large as a full one. */
function skeleton() {
  const element = template.content.firstElementChild.cloneNode(true);
  element.classList.add("skeleton");
  for (const part of element.querySelectorAll("button, img, progress")) part.remove();
  return element;
}

export function closeRow() {
  row.hidden = true;
  list.replaceChildren();
}
