// What the library page does at once instead of by submitting and loading anew: searching, sorting,
// and what was begun. Words stand in the page. Without this file everything but that row is there.

const PROGRESS = "reelay.progress"; // {path: [seconds, duration, epoch-milliseconds]}
const SETTINGS = "reelay.settings";
const MOST = 12;
const PAUSE = 150; // ms without a key before a search: a fast typist's keys are closer together

const form = document.querySelector(".finder");
const box = document.querySelector("#q");
const status = document.querySelector("[data-status]");
const row = document.querySelector(".continue");
const list = row?.querySelector(".row");
const template = row?.querySelector("template");

// ---- searching and sorting: the same page is fetched, and its results put in place of these

let searching = null; // what ends the request under way
let pending = 0;

function results() {
  return document.querySelector("[data-results]");
}

function address() {
  const asked = new URLSearchParams(new FormData(form));
  const query = asked.get("q").trim();
  // The box says where to search; what is listed without a search is the folder's all the same.
  const folder = form.elements.folder?.value;
  if (!query && folder !== undefined) asked.set("folder", folder);
  if (!query) asked.delete("q");
  if (asked.get("sort") === form.elements.sort.options[0].value) asked.delete("sort");
  return String(asked) ? `${form.action}?${asked}` : form.action;
}

async function load(url) {
  searching?.abort();
  const mine = new AbortController();
  searching = mine;
  results().setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { signal: mine.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-results]");
    if (mine !== searching) return;
    if (!fresh) return void location.assign(url); // an error's page says what is wrong
    results().replaceWith(document.adoptNode(fresh));
    document.title = page.title;
    history.replaceState(history.state, "", url);
    const head = fresh.querySelector("#videos, .blank h2") ?? fresh.querySelector("h2");
    say(head?.textContent ?? "", fresh.querySelector(".count")?.textContent);
    mark();
    again();
  } catch (error) {
    if (error.name !== "AbortError") say(status.dataset.failed, "", true);
  } finally {
    if (mine === searching) {
      searching = null;
      results().removeAttribute("aria-busy");
    }
  }
}

function say(message, more = "", failed = false) {
  status.textContent = `${message} ${more}`.trim().replace(/\s+/g, " ");
  status.classList.toggle("unseen", !failed);
}

function search() {
  clearTimeout(pending);
  const url = address();
  show();
  if (url !== location.href || searching) load(url);
}

if (form) {
  form.dataset.live = ""; // the button is of no use any more
  box.addEventListener("input", (event) => {
    clearTimeout(pending);
    if (!event.isComposing) pending = setTimeout(search, PAUSE);
  });
  box.addEventListener("compositionend", search);
  form.addEventListener("change", (event) => event.target !== box && search());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
    if (matchMedia("(pointer: coarse)").matches) box.blur(); // the keyboard on the screen goes
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (read(SETTINGS).keys === false) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
}

// An empty library is looked at again by itself; with the first video comes all of the page.
function again() {
  const wait = results().querySelector("[data-again]")?.dataset.again;
  if (wait) setTimeout(look, 1000 * wait);
}

async function look() {
  try {
    const answer = document.hidden ? null : await fetch(location.href);
    if ((await answer?.text())?.includes('class="finder"')) return location.reload();
  } catch {
    // then later
  }
  again();
}

// ---- what was begun

function read(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

function forget(path) {
  try {
    const { [path]: _, ...others } = read(PROGRESS);
    localStorage.setItem(PROGRESS, JSON.stringify(others));
  } catch {
    // There is no storage: then nothing was kept in it.
  }
}

function begun() {
  return Object.entries(read(PROGRESS))
    .filter(([, kept]) => Array.isArray(kept) && kept.slice(0, 3).every(Number.isFinite))
    .filter(([, [seconds, duration]]) => seconds > 0 && duration > 0)
    .sort(([, one], [, other]) => other[2] - one[2]);
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

async function describe([path, kept]) {
  try {
    const answer = await fetch(`/api/videos/${path.split("/").map(encodeURIComponent).join("/")}`);
    if (answer.status === 404) forget(path);
    return answer.ok ? card(await answer.json(), kept) : null;
  } catch {
    return null;
  }
}

function card(video, [seconds, duration]) {
  const made = template.content.firstElementChild.cloneNode(true);
  const [link, left, image, forgetting] = ["a", ".details", "img", "button"].map((selector) =>
    made.querySelector(selector),
  );
  link.href = video.watch_url;
  link.firstElementChild.textContent = video.title;
  left.textContent = left.dataset.left.replace("{time}", () =>
    clock(Math.max(0, duration - seconds)),
  );
  made.querySelector(".tile").classList.add(`tile-${video.size % 6}`);
  if (video.content_type.startsWith("audio/"))
    made.querySelector("use").setAttribute("href", "#sound");
  const [picture] = video.poster.pictures;
  if (picture) {
    image.width = picture.width;
    image.height = picture.height;
    image.classList.toggle("whole", picture.width < 1.2 * picture.height);
    image.src = picture.url;
  } else image.remove();
  made.querySelector("progress").value = Math.min(1, seconds / duration);
  const label = forgetting.getAttribute("aria-label").replace("{title}", () => video.title);
  forgetting.setAttribute("aria-label", label);
  forgetting.addEventListener("click", () => {
    const next = made.nextElementSibling ?? made.previousElementSibling;
    forget(video.path);
    made.remove();
    say(status.dataset.forgotten);
    if (next) next.querySelector("button").focus();
    else close();
  });
  return made;
}

function close() {
  row.hidden = true;
  list.replaceChildren();
  document.querySelector("main").focus();
}

async function show() {
  if (!row) return;
  const searched = Boolean(box?.value.trim()); // then what was found stands first
  const kept = searched ? [] : begun().slice(0, MOST);
  row.hidden = searched || kept.length === 0;
  if (row.hidden) return;
  if (list.children.length === 0) {
    // Empty cards take the place at once, as large as full ones.
    list.replaceChildren(
      ...kept.map(() => {
        const ghost = template.content.firstElementChild.cloneNode(true);
        ghost.classList.add("ghost");
        for (const part of ghost.querySelectorAll("button, img, progress")) part.remove();
        return ghost;
      }),
    );
  }
  const cards = (await Promise.all(kept.map(describe))).filter(Boolean);
  if (!cards.length) {
    // Of all this nothing is left. Its place is: what is below would jump.
    list.style.minBlockSize = `${list.offsetHeight}px`;
    cards.push(template.content.querySelector(".none").cloneNode(true));
  }
  if (!list.contains(document.activeElement)) list.replaceChildren(...cards);
}

// A line on the posters of what was begun.
function mark() {
  if (!template) return;
  const kept = new Map(begun());
  if (!kept.size) return;
  for (const link of results().querySelectorAll('.card a[href^="/watch/"]')) {
    const [seconds, duration] =
      kept.get(decodeURIComponent(link.pathname.slice("/watch/".length))) ?? [];
    if (!duration) continue;
    const line = template.content.querySelector("progress").cloneNode();
    line.value = Math.min(1, seconds / duration);
    link.closest(".card").querySelector(".tile").append(line);
  }
}

if (row) {
  row.querySelector(".plain-button").addEventListener("click", () => {
    try {
      localStorage.removeItem(PROGRESS);
    } catch {
      // as above
    }
    say(status.dataset.forgotten);
    close();
  });
}
addEventListener("pageshow", (event) => event.persisted && show()); // back from a video
show();
mark();
again();
