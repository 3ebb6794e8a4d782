// Shows the videos in progress: a row of cards, and a progress line on posters.

import { formatTime } from "./clock.js";
import { announceForgotten } from "./status.js";
import { forgetAllProgress, forgetProgress, readProgress } from "./store.js";

const MAX_CARDS = 12;
const row = document.querySelector(".continue");
const list = row?.querySelector(".row");
const template = row?.querySelector("template");

export function startContinue() {
  row?.querySelector(".plain-button").addEventListener("click", () => {
    forgetAllProgress();
    announceForgotten();
    closeRow();
  });
}

/** Show the row if there is something in it, but not during a search: results come first then. */
export async function showRow(searching) {
  if (!row) return;
  const entries = searching ? [] : inProgress().slice(0, MAX_CARDS);
  row.hidden = entries.length === 0;
  if (row.hidden) return;
  if (list.children.length === 0) list.replaceChildren(...entries.map(skeleton));
  const cards = (await Promise.all(entries.map(fetchCard))).filter(Boolean);
  if (!cards.length) {
    // None of the videos exists any more. The row keeps its height: what is below would jump.
    list.style.minBlockSize = `${list.offsetHeight}px`;
    cards.push(template.content.querySelector(".none").cloneNode(true));
  }
  if (!list.contains(document.activeElement)) list.replaceChildren(...cards);
}

/** Draw a line on the posters of these results. */
export function markProgress(results) {
  const entries = new Map(template ? inProgress() : []);
  if (!entries.size) return;
  for (const link of results.querySelectorAll('.card a[href^="/watch/"]')) {
    const path = decodeURIComponent(link.pathname.slice("/watch/".length));
    const [seconds, duration] = entries.get(path) ?? [];
    if (!duration) continue;
    const line = template.content.querySelector("progress").cloneNode();
    line.value = Math.min(1, seconds / duration);
    link.closest(".card").querySelector(".tile").append(line);
  }
}

/** Return `[path, [seconds, duration, time]]` of each video in progress, the newest first. */
function inProgress() {
  return Object.entries(readProgress())
    .filter(([, entry]) => Array.isArray(entry) && entry.slice(0, 3).every(Number.isFinite))
    .filter(([, [seconds, duration]]) => seconds > 0 && duration > 0)
    .sort(([, one], [, other]) => other[2] - one[2]);
}

/** Return an empty card, as large as a full one. */
function skeleton() {
  const element = template.content.firstElementChild.cloneNode(true);
  element.classList.add("skeleton");
  for (const part of element.querySelectorAll("button, img, progress")) part.remove();
  return element;
}

async function fetchCard([path, entry]) {
  try {
    const url = `/api/videos/${path.split("/").map(encodeURIComponent).join("/")}`;
    const response = await fetch(url);
    if (response.status === 404) forgetProgress(path);
    return response.ok ? card(await response.json(), entry) : null;
  } catch {
    return null;
  }
}

function card(video, [seconds, duration]) {
  const element = template.content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const [link, left] = [find("a"), find(".details")];
  link.href = video.watch_url;
  link.firstElementChild.textContent = video.title;
  const time = formatTime(Math.max(0, duration - seconds));
  left.textContent = left.dataset.left.replace("{time}", () => time);
  find(".tile").classList.add(`tile-${video.size % 6}`);
  if (video.content_type.startsWith("audio/")) find("use").setAttribute("href", "#sound");
  showPoster(find("img"), video.poster.pictures);
  find("progress").value = Math.min(1, seconds / duration);
  const removeButton = find("button");
  const label = removeButton.getAttribute("aria-label").replace("{title}", () => video.title);
  removeButton.setAttribute("aria-label", label);
  removeButton.addEventListener("click", () => {
    forgetProgress(video.path);
    announceForgotten();
    removeCard(element);
  });
  return element;
}

function showPoster(image, [picture]) {
  if (!picture) {
    image.remove();
    return;
  }
  image.width = picture.width;
  image.height = picture.height;
  image.classList.toggle("whole", picture.width < 1.2 * picture.height);
  image.src = picture.url;
}

function removeCard(element) {
  const next = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  if (next) next.querySelector("button").focus();
  else closeRow();
}

function closeRow() {
  row.hidden = true;
  list.replaceChildren();
  document.querySelector("main").focus();
}
