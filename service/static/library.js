// What the library page does without a reload: it searches and sorts, waits for a first video, and
// shows the videos in progress. All texts are in the page. Without this module only the row of videos
// in progress is missing.

import { markProgress, showRow, startContinue } from "./continue.js";
import { announce, showFailed } from "./status.js";
import { readSettings } from "./store.js";

const SEARCH_DELAY = 150; // milliseconds without a key: a fast typist's keys are closer together

const form = document.querySelector(".finder");
const box = document.querySelector("#q");
const results = () => document.querySelector("[data-results]");
const showInProgress = () => showRow(Boolean(box?.value.trim()));

let pendingRequest = null; // aborts it
let searchTimer;

// The same page is fetched, and its results replace those of this page.

/** Return the URL of the page that the form asks for. */
function searchUrl() {
  const query = new URLSearchParams(new FormData(form));
  const words = query.get("q").trim();
  // The box says where to search. Without a search the folder itself is listed.
  const folder = form.elements.folder?.value;
  if (!words && folder !== undefined) query.set("folder", folder);
  if (!words) query.delete("q");
  if (query.get("sort") === form.elements.sort.options[0].value) query.delete("sort");
  return String(query) ? `${form.action}?${query}` : form.action;
}

async function load(url) {
  pendingRequest?.abort();
  const request = new AbortController();
  pendingRequest = request;
  results().setAttribute("aria-busy", "true");
  try {
    const response = await fetch(url, { signal: request.signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (request === pendingRequest) showResults(url, page);
  } catch (error) {
    if (error.name !== "AbortError") showFailed();
  } finally {
    if (request === pendingRequest) {
      pendingRequest = null;
      results().removeAttribute("aria-busy");
    }
  }
}

function showResults(url, page) {
  const fresh = page.querySelector("[data-results]");
  if (!fresh) {
    location.assign(url); // the page of an error says what is wrong
    return;
  }
  results().replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  history.replaceState(history.state, "", url);
  const heading = fresh.querySelector("#videos, .blank h2") ?? fresh.querySelector("h2");
  const count = fresh.querySelector(".count");
  announce(`${heading?.textContent ?? ""} ${count?.textContent ?? ""}`);
  markProgress(fresh);
  schedulePoll();
}

function search() {
  clearTimeout(searchTimer);
  const url = searchUrl();
  showInProgress();
  if (url !== location.href || pendingRequest) load(url);
}

function startSearch() {
  form.dataset.live = ""; // hides the button, which is of no use any more
  box.addEventListener("input", (event) => {
    clearTimeout(searchTimer);
    if (!event.isComposing) searchTimer = setTimeout(search, SEARCH_DELAY);
  });
  box.addEventListener("compositionend", search);
  form.addEventListener("change", (event) => event.target !== box && search());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
    if (matchMedia("(pointer: coarse)").matches) box.blur(); // closes the on-screen keyboard
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (readSettings().keys === false) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
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
startContinue();
addEventListener("pageshow", (event) => event.persisted && showInProgress()); // back from a video
showInProgress();
markProgress(results());
schedulePoll();
