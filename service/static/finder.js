// The form of pages of cards: it searches and sorts without a reload. The same page is fetched, and its
// results replace those of this page. This module is loaded when the form is first used.

import { announce, showFailed } from "./status.js";
import { saveSetting } from "./store.js";

const STYLES = "link[rel=stylesheet]";
const SEARCH_DELAY = 150; // milliseconds without a key: a fast typist's keys are closer together

const form = document.querySelector(".finder");
const box = document.querySelector("#q");
const isHome = form.hasAttribute("data-home");
const results = () => document.querySelector("[data-results]");

let page = null; // functions of library.js: showHistory, showSort, hasUsualOrder and afterResults
let pendingRequest = null; // aborts it
let searchTimer;

/** Search from now on. What was entered while this module was loaded is looked for. */
export function startFinder(functions) {
  page = functions;
  box.addEventListener("input", (event) => {
    clearTimeout(searchTimer);
    if (!event.isComposing) searchTimer = setTimeout(search, SEARCH_DELAY);
  });
  box.addEventListener("compositionend", search);
  form.addEventListener("change", ({ target }) => {
    if (target === form.elements.sort) rememberSort();
    if (target !== box) search();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
    if (matchMedia("(pointer: coarse)").matches) box.blur(); // closes the on-screen keyboard
  });
  if (!isChanged()) return;
  if (!form.elements.sort.selectedOptions[0].defaultSelected) rememberSort();
  search();
}

function rememberSort() {
  if (page.hasUsualOrder()) saveSetting("sort", form.elements.sort.value);
}

/** Return whether the form asks for another page than the one that it came with. */
function isChanged() {
  const { q, sort, folder } = form.elements;
  const isOtherFolder = folder?.type === "checkbox" && folder.checked !== folder.defaultChecked;
  return isOtherFolder || q.value !== q.defaultValue || !sort.selectedOptions[0].defaultSelected;
}

/** Return the URL of the page that the form asks for. */
function searchUrl() {
  const query = new URLSearchParams(new FormData(form));
  const words = query.get("q").trim();
  // The box says where to search. Without a search the folder itself is listed.
  const folder = form.elements.folder?.value;
  if (!words && folder !== undefined) query.set("folder", folder);
  if (!words) query.delete("q");
  if (!words && isHome) query.delete("sort");
  if (query.get("sort") === form.elements.sort.options[0].value) query.delete("sort");
  return String(query) ? `${form.action}?${query}` : form.action;
}

function search() {
  clearTimeout(searchTimer);
  page.showSort();
  const url = searchUrl();
  page.showHistory();
  if (url !== location.href.split("#")[0] || pendingRequest) load(url);
}

async function load(url) {
  pendingRequest?.abort();
  const request = new AbortController();
  pendingRequest = request;
  results().setAttribute("aria-busy", "true");
  try {
    const response = await fetch(url, { signal: request.signal });
    const fetched = new DOMParser().parseFromString(await response.text(), "text/html");
    await loadStyles(fetched);
    if (request === pendingRequest) showResults(url, fetched);
  } catch (error) {
    if (error.name !== "AbortError") showFailed();
  } finally {
    if (request === pendingRequest) {
      pendingRequest = null;
      results().removeAttribute("aria-busy");
    }
  }
}

/** Load the style sheets of a fetched page that this one lacks. */
async function loadStyles(fetched) {
  const known = new Set(Array.from(document.querySelectorAll(STYLES), ({ href }) => href));
  const links = [...fetched.querySelectorAll(STYLES)].filter(({ href }) => !known.has(href));
  const loads = links.map((link) => {
    const added = document.adoptNode(link);
    return new Promise((resolve) => {
      added.onload = resolve;
      added.onerror = resolve; // results without style are better than none
      document.head.append(added);
    });
  });
  await Promise.all(loads);
}

function showResults(url, fetched) {
  const fresh = fetched.querySelector("[data-results]");
  if (!fresh) {
    location.assign(url); // the page of an error says what is wrong
    return;
  }
  results().replaceWith(document.adoptNode(fresh));
  document.title = fetched.title;
  history.replaceState(history.state, "", url);
  const heading = fresh.querySelector("#videos, .blank h2") ?? fresh.querySelector("h2");
  const count = fresh.querySelector(".count");
  announce(`${heading?.textContent ?? ""} ${count?.textContent ?? ""}`);
  page.afterResults();
}
