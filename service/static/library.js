// What the pages of cards do without a reload: they search and sort, wait for a first video, and show
// what was begun and seen. All texts are in the page. Without this module, the pages lack what the
// browser remembers, the frames under the pointer and the buttons of rails; all links work.

import { showRow } from "./continue.js";
import { playOnClick } from "./handover.js";
import { useModule } from "./lazy.js";
import { followHistory, inProgress, readSeen } from "./seen.js";
import { readSettings, settings } from "./store.js";

const USUAL_ORDER = "name"; // the order without a parameter
const USES = ["pointerover", "focusin"]; // the first one loads what only the pointer or the focus needs

const form = document.querySelector(".finder");
const box = document.querySelector("#q");
const isHome = form?.hasAttribute("data-home");
const results = () => document.querySelector("[data-results]");
let hasMarks = false; // on cards: from the first use on, or if something was begun or seen
let hasRailButtons = false;

/** Show what the browser remembers. */
async function showHistory() {
  hasMarks ||= inProgress().length > 0 || Object.keys(readSeen()).length > 0;
  markCards();
  await showRow(Boolean(box?.value.trim()));
  markCards(); // also those of the row
}

function markCards() {
  if (!hasMarks) return;
  useModule(
    () => import("./marks.js"),
    ({ markCards }) => markCards(document),
  );
}

/**
 * Start what the pointer and the focus need: buttons on cards and rails, and frames on cards. The page
 * of a video has the button that marks it, too.
 */
function startControls() {
  const start = (event) => {
    for (const type of USES) document.removeEventListener(type, start);
    hasMarks = true;
    useModule(
      () => import("./marks.js"),
      ({ markCards, startSweeps }) => {
        markCards(document);
        startSweeps(event);
      },
    );
    hasRailButtons = true;
    addRailButtons();
  };
  for (const type of USES) document.addEventListener(type, start);
}

function addRailButtons() {
  if (!hasRailButtons || !document.querySelector(".rail")) return;
  useModule(
    () => import("./rails.js"),
    ({ startRails }) => startRails(document),
  );
}

// Search and order: finder.js does the rest when the form is used.

/** On the home page, only what is found is sorted. */
function showSort() {
  form.elements.sort.parentElement.hidden = isHome && !box.value.trim();
}

let hasFinder = false;

function loadFinder() {
  if (hasFinder) return;
  hasFinder = true;
  const functions = { showHistory, showSort, hasUsualOrder, afterResults };
  useModule(
    () => import("./finder.js"),
    ({ startFinder }) => startFinder(functions),
    () => {
      hasFinder = false; // meanwhile, the form works as without scripts
      showFailed();
    },
  );
}

/** Say that nothing came, as status.js does: that module may not have come either. */
function showFailed() {
  const status = document.querySelector("[data-status]");
  status.textContent = status.dataset.failed;
  status.classList.remove("unseen");
}

function afterResults() {
  markCards();
  addRailButtons();
  schedulePoll();
}

function startSearch() {
  form.dataset.live = ""; // hides the button, which is of no use any more
  showSort();
  form.addEventListener("focusin", loadFinder);
  form.addEventListener("input", loadFinder); // again, if it failed
  // It may have been used before this module came.
  if (form.contains(document.activeElement) || box.value !== box.defaultValue) loadFinder();
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (readSettings().keys === false) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
}

/** Return whether the folder is neither an album nor one of clips: these have an order of their own. */
const hasUsualOrder = () => form.elements.sort.options[0].value === USUAL_ORDER;

/** Sort as the viewer last chose, unless the address or the folder says how. */
function restoreSort() {
  const { sort } = form.elements;
  if (!hasUsualOrder()) return;
  const isKnown = [...sort.options].some(({ value }) => value === settings.sort);
  const address = new URLSearchParams(location.search);
  if (address.has("sort") || address.has("page") || !isKnown) return; // a page is of one order
  if (sort.value === settings.sort) return;
  sort.value = settings.sort;
  if (!isHome) loadFinder();
}

function startHistory() {
  const section = document.querySelector("[data-history]");
  if (!section) return;
  section.hidden = false;
  for (const type of ["click", "change"]) {
    section.addEventListener(type, (event) => {
      useModule(
        () => import("./history.js"),
        ({ handle }) => handle(event, section, showHistory),
        showFailed,
      );
    });
  }
}

// An empty library is loaded again until there is a video, as the whole page is then another one.

function schedulePoll() {
  const seconds = results().querySelector("[data-poll]")?.dataset.poll;
  if (seconds) setTimeout(pollEmptyLibrary, 1000 * seconds);
}

async function pollEmptyLibrary() {
  try {
    const response = document.hidden ? null : await fetch(location.href);
    if ((await response?.text())?.includes('class="finder"')) {
      location.reload();
      return;
    }
  } catch {
    // The next poll may succeed.
  }
  schedulePoll();
}

if (form) startSearch();
if (form) restoreSort();
playOnClick();
startHistory();
startControls();
followHistory(showHistory);
showHistory();
schedulePoll();
