// The cards of what the viewer may want to watch next. This module is loaded when something was begun
// or seen.

import { formatTime } from "./clock.js";
import { closeRow, MAX_CARDS } from "./continue.js";
import { apiUrl, isByLink } from "./paths.js";
import { announceForgotten } from "./status.js";
import { forgetProgress, saveSetting, settings } from "./store.js";

const SKIPPED_KEY = "reelay.skipped"; // per tab: next episodes that the viewer does not want

/**
 * Return the cards of what was begun, and of what follows what was seen last, the newest first.
 * `begun` is as of `inProgress`; `followed` are entries of `seen`, which is as of `readSeen`.
 */
export async function findCards(template, begun, followed, seen) {
  const known = new Set([...begun.map(([path]) => path), ...Object.keys(seen), ...readSkipped()]);
  const [videos, following] = await Promise.all([
    Promise.all(begun.map(fetchBegun)),
    Promise.all(followed.map(fetchNext)),
  ]);
  const next = following.filter(([video]) => video && !known.has(video.path));
  if (next.length > 0 !== (settings.upNext === true)) saveSetting("upNext", next.length > 0);
  const entries = [...videos, ...unique(next)].filter(([video]) => video);
  entries.sort(([, one], [, other]) => other.time - one.time);
  return entries.slice(0, MAX_CARDS).map((entry) => card(template, entry));
}

/** Keep the first entry of each video. */
function unique(entries) {
  const paths = entries.map(([video]) => video.path);
  return entries.filter(([video], index) => paths.indexOf(video.path) === index);
}

async function fetchBegun([path, [seconds, duration, time]]) {
  const { status, body } = await fetchJson("videos", path);
  // Below a share link, 404 says nothing of what the viewer may see elsewhere.
  if (status === 404 && !isByLink) forgetProgress(path);
  return [body, { seconds, duration, time }];
}

async function fetchNext([path, time]) {
  const { body } = await fetchJson("next", path);
  return [body?.video, { time }];
}

/** Return the status and the value of a response; null for the value of an error. */
async function fetchJson(kind, path) {
  try {
    const response = await fetch(apiUrl(kind, path)); // a damaged path may be no Unicode
    const text = await response.text();
    return { status: response.status, body: response.ok ? JSON.parse(text) : null };
  } catch {
    return { status: 0, body: null };
  }
}

function card(template, [video, { seconds, duration }]) {
  const element = template.content.firstElementChild.cloneNode(true);
  const find = (selector) => element.querySelector(selector);
  const [link, left, line] = [find("a"), find(".details"), find("progress")];
  link.href = video.watch_url;
  link.firstElementChild.textContent = video.title;
  find(".tile").classList.add(`tile-${video.size % 6}`);
  if (video.content_type.startsWith("audio/")) find("use").setAttribute("href", "#sound");
  element.toggleAttribute("data-storyboard", video.storyboard.url !== null);
  showPicture(find("img"), video.poster.still[0] ?? video.poster.pictures[0]);
  if (duration) {
    const time = formatTime(Math.max(0, duration - seconds));
    left.textContent = left.dataset.left.replace("{time}", () => time);
    line.value = Math.min(1, seconds / duration);
  } else {
    left.textContent = left.dataset.next;
    line.remove();
  }
  const removeButton = find("button");
  const label = removeButton.getAttribute("aria-label").replace("{title}", () => video.title);
  removeButton.setAttribute("aria-label", label);
  removeButton.addEventListener("click", () => {
    if (duration) forgetProgress(video.path);
    else skip(video.path);
    announceForgotten();
    removeCard(element);
  });
  return element;
}

function showPicture(image, picture) {
  if (!picture) {
    image.remove();
    return;
  }
  image.classList.toggle("whole", picture.width < 1.2 * picture.height);
  image.src = picture.url;
}

function removeCard(element) {
  const next = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  if (next) {
    next.querySelector("button").focus();
    return;
  }
  closeRow();
  document.querySelector("main").focus();
}

// What the viewer does not want to see next comes back in the next session.

function readSkipped() {
  try {
    const skipped = JSON.parse(sessionStorage.getItem(SKIPPED_KEY));
    return Array.isArray(skipped) ? skipped : [];
  } catch {
    return [];
  }
}

function skip(path) {
  try {
    sessionStorage.setItem(SKIPPED_KEY, JSON.stringify([...readSkipped(), path]));
  } catch {
    // It is shown again.
  }
}
