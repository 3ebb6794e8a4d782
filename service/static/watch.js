// What browsers lack around a player: a filmstrip to jump by, going on where the viewer left, links
// to a moment, keys, and a player that comes back by itself. Without this file the page works all
// the same; without the parts of the page that it serves, as where a player is embedded, it does
// the rest. Its words stand in the page.

const find = (selector) => document.querySelector(selector);
const stage = find("[data-stage]");
const player = find("[data-player]");
const path = stage.dataset.path;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// ---- what is kept in the browser; where nothing can be, everything goes on without ----

const PROGRESS = "reelay.progress"; // {path: [seconds, duration, milliseconds since 1970]}
const SETTINGS = "reelay.settings"; // {theatre, autoplay, speed, keys}
const MOST_KEPT = 200;

function kept(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full, or not allowed.
  }
}

const settings = kept(SETTINGS);

function set(name, value) {
  settings[name] = value;
  keep(SETTINGS, { ...kept(SETTINGS), [name]: value }); // another page may have changed the others
}

// ---- where the player is ----

let position = Number(stage.dataset.start) || 0; // load() forgets it, and a failed source has none
let playing = false;
let touched = false; // by the viewer, or by playing: only then is there something to remember

const isKnown = () => player.readyState > 0 && !player.error;
const duration = () => (Number.isFinite(player.duration) ? player.duration : 0);

function seek(second) {
  touched = true;
  position = Math.max(0, duration() ? Math.min(second, duration()) : second);
  if (!filmstrip?.contains(document.activeElement)) scrolled = -Infinity; // the strip goes along
  if (isKnown()) player.currentTime = position; // else as soon as there is something to seek in
  showPlace();
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

for (const type of ["timeupdate", "seeking", "seeked"]) {
  player.addEventListener(type, () => {
    if (!isKnown() || failing) return;
    position = player.currentTime;
    showPlace();
  });
}
player.addEventListener("play", () => {
  playing = touched = true;
});
player.addEventListener("pause", () => {
  if (isKnown() && !failing) playing = false;
});

// ---- never a dead player ----

const alarm = find(".alarm");
// Milliseconds without a byte, while the player waits: until it is looked what is the matter, and
// until it is loaded again. The edge holds requests for ten seconds.
const [NOTICE, SILENCE] = [5000, 20_000];

let failing = false;
let asking = false;
let attempt = 0;
let answered = 0; // failures in a row although the server gives the file
let final = false; // nothing that happens by itself will help
let timer; // of the next attempt, where one is waited for
let moved = performance.now();
let patience = SILENCE;

function warn(message, ...more) {
  if (alarm.dataset.said === message) return; // said once; and a button keeps its focus
  alarm.dataset.said = message;
  const words = document.createElement("p");
  words.textContent = message;
  alarm.replaceChildren(words, ...more);
}

function button(words, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button";
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
}

function hush() {
  if (alarm.contains(document.activeElement)) player.focus();
  delete alarm.dataset.said;
  alarm.replaceChildren();
}

const source = () => player.querySelector("source");

function load(address) {
  const url = new URL(address, location.href);
  url.hash = ""; // a moment in it would be gone to again
  source().src = url;
  moved = performance.now();
  player.load();
}

async function statusOf(address) {
  try {
    // Suffixes are the service's to answer: of a revision that is gone, caches may still have blocks.
    const headers = { Range: "bytes=-1" };
    const signal = AbortSignal.timeout(SILENCE);
    const answer = await fetch(address, { headers, cache: "no-store", signal });
    answer.body?.cancel();
    return answer.status;
  } catch {
    return 0;
  }
}

// Learn from the server what is the matter, and load again at the same second, or say it. Where it
// has been waited for, or the viewer asks, it is loaded whatever has been.
async function recover(due = false) {
  if (asking) return;
  asking = failing = true;
  final = false;
  timer = clearTimeout(timer);
  try {
    const status = await statusOf(source().src);
    if (status === 410) await takeNew();
    else if (status === 404) gone();
    else if (status !== 200 && status !== 206) later(status ? "away" : "lost");
    else if (answered > 0 && isTheFiles()) unplayable();
    else if (answered > 0 && !due)
      later("reloading"); // other parts of it may not be to be had
    else again();
  } finally {
    asking = false;
  }
}

const hasFailed = () => player.error || player.networkState === player.NETWORK_NO_SOURCE;

// Whether what has failed is the file, or this browser with it, and not the way here.
function isTheFiles() {
  if (!hasFailed() || player.error?.code === MediaError.MEDIA_ERR_NETWORK) return false;
  const decodable = verdicts.video === true || verdicts.audio === true;
  return player.error?.code === MediaError.MEDIA_ERR_DECODE || !decodable || !canPlay();
}

function again() {
  final = false;
  if (hasFailed()) answered += 1;
  else if (player.readyState >= player.HAVE_FUTURE_DATA) {
    recovered(); // it has helped itself
    return;
  }
  warn(alarm.dataset.reloading);
  load(source().src);
}

function later(reason) {
  if (reason !== "reloading") answered = 0; // it is the way here
  warn(
    alarm.dataset[reason],
    button(alarm.dataset.retry, () => recover(true)),
  );
  const pause = Math.min(60, 2 ** attempt) * (0.75 + Math.random() / 2); // seconds; not all at once
  attempt += 1;
  timer = setTimeout(recover, pause * 1000, true);
}

function gone() {
  const link = document.createElement("a");
  link.className = "button";
  link.href = alarm.dataset.folderUrl;
  link.textContent = alarm.dataset.folder;
  warn(alarm.dataset.gone, link);
  attempt = Math.max(attempt, 3) + 1;
  timer = setTimeout(recover, Math.min(60, 2 ** attempt) * 1000, true); // it may come back
}

function unplayable() {
  final = true;
  if (player.error?.code === MediaError.MEDIA_ERR_DECODE) {
    const retry = button(alarm.dataset.retry, again);
    const skip = button(alarm.dataset.skip, () => {
      position += 10;
      again();
    });
    warn(alarm.dataset.broken, retry, skip);
  } else {
    hush();
    refuse();
  }
}

// The file was replaced: the address named the revision that is gone.
async function takeNew() {
  answered = 0;
  warn(alarm.dataset.replaced);
  const old = new URL(source().src);
  const unpinned = new URL(old.pathname, old);
  let item = null;
  try {
    const answer = await fetch(stage.dataset.api, { cache: "no-store" });
    if (answer.ok) item = await answer.json();
  } catch {
    // Then without.
  }
  const address = item && new URL(item.media_url, location.href);
  if (address && address.search !== old.search) {
    takeTracks(item);
    load(address);
  } else if ((await statusOf(unpinned)) === 404) {
    gone();
  } else {
    load(unpinned); // the library has not seen the new file yet
  }
}

function takeTracks(item) {
  const named = (track) => `${track.kind} ${track.srclang ?? track.language} ${track.label}`;
  const elements = [...player.querySelectorAll("track")];
  const shown = elements.find((element) => element.track.mode === "showing");
  const fresh = item.captions.tracks.map((track) => {
    const element = document.createElement("track");
    element.src = track.url;
    element.kind = track.kind;
    element.label = track.label;
    if (track.language) element.srclang = track.language;
    return element;
  });
  for (const element of elements) element.remove();
  player.append(...fresh);
  const same = shown && fresh.find((element) => named(element) === named(shown));
  if (same) same.track.mode = "showing";
  for (const link of document.querySelectorAll("a[download]")) link.href = item.download_url;
}

function recovered() {
  failing = false;
  patience = SILENCE;
  timer = clearTimeout(timer);
  hush();
}

player.addEventListener("loadedmetadata", () => {
  const goOn = failing && playing;
  begin();
  if (position > 0 && Math.abs(player.currentTime - position) > 0.5) {
    player.currentTime = duration() ? Math.min(position, duration()) : position;
  }
  if (goOn)
    player.play().catch(() => {}); // refused without a gesture: the controls are there
  else if (failing) recovered();
});

for (const type of ["loadeddata", "seeked", "canplay", "playing"]) {
  player.addEventListener(type, () => {
    const there = isKnown() && player.readyState >= player.HAVE_CURRENT_DATA && !player.seeking;
    if (failing && !asking && there) recovered();
  });
}

// A media element's own error does not bubble, and that of a <source> goes to the source: both are
// seen while captured. A track that fails leaves the picture alone.
player.addEventListener("error", (event) => event.target.localName !== "track" && recover(), true);

let since = 0; // where it played from: a second of that, and what was wrong is over
player.addEventListener("playing", () => {
  since = player.currentTime;
});
for (const type of ["progress", "timeupdate", "seeking", "canplay", "play"]) {
  player.addEventListener(type, () => {
    moved = performance.now();
    if (type === "timeupdate" && !failing && player.currentTime > since + 1) answered = attempt = 0;
  });
}

const waits = () => !player.paused && !player.ended && player.readyState < player.HAVE_FUTURE_DATA;
const isOut = (status) => status === 0 || status >= 500;

// The browser asks by itself for half a minute before it tells of an error: the viewer is told
// what is the matter before that.
async function look() {
  asking = true;
  const status = await statusOf(source().src);
  asking = false;
  if (hasFailed()) recover();
  else if (isOut(status) && waits() && !failing) {
    failing = true;
    later(status ? "away" : "lost");
  }
}

// And a connection that is neither dead nor alive gives no error for minutes.
setInterval(() => {
  const isLoading = failing && !timer && !final;
  const quiet = performance.now() - moved;
  if (asking || !(isLoading || (waits() && !failing))) return;
  if (quiet >= patience) {
    patience *= 2; // whoever is merely slow is not cut off again and again
    recover(true);
  } else if (!isLoading && quiet >= NOTICE) {
    look();
  }
}, 2500);

const comeBack = () => failing && !final && document.visibilityState === "visible" && recover(true);
addEventListener("online", comeBack);
document.addEventListener("visibilitychange", comeBack);

// ---- what this browser can play, said before anybody presses play ----

const refusal = find("[data-refusal]");
const silence = find("[data-silence]");
const verdicts = {}; // of "video" and "audio": whether it decodes, where that is to be told

function canPlay() {
  return verdicts.video !== false && !(verdicts.audio === false && player.localName === "audio");
}

async function decodes(kind) {
  const told = refusal.dataset;
  const contentType = told[kind];
  if (!contentType) return undefined;
  if (!player.canPlayType(contentType)) return false;
  const video = {
    contentType,
    width: Number(told.width) || 1280,
    height: Number(told.height) || 720,
    bitrate: Number(told.bitRate) || 1_000_000,
    framerate: Number(stage.dataset.frameRate) || 25,
  };
  const asked = kind === "video" ? { video } : { audio: { contentType } };
  try {
    return (await navigator.mediaCapabilities.decodingInfo({ type: "file", ...asked })).supported;
  } catch {
    return true; // as canPlayType said
  }
}

// Show or hide what lies over the screen, but for its controls.
function cover(over, covered) {
  const hadFocus = !covered && over.contains(document.activeElement);
  over.hidden = !covered;
  if (hadFocus) player.focus();
}

function refuse() {
  if (!refusal.hidden) return;
  const told = refusal.dataset;
  let words = told.nothing;
  if (verdicts.video === false) words = told.noPicture.replace("{}", told.videoName);
  else if (verdicts.audio === false) words = told.noSound.replace("{}", told.audioName);
  else words = worst()?.querySelector("p").textContent ?? words;
  cover(refusal, true);
  refusal.querySelector("[role=status]").textContent = words;
}

// What the service says no browser plays.
const worst = () => find(".finding-unplayable");

async function judge() {
  [verdicts.video, verdicts.audio] = await Promise.all([decodes("video"), decodes("audio")]);
  const container = find('.finding-unplayable[data-code="container"]');
  const type = source().type;
  if (!canPlay() || (container && type && !player.canPlayType(type))) refuse();
  else if (!container && worst() && player.readyState === 0) refuse();
  if (verdicts.audio === false && player.localName === "video" && silence) {
    silence.textContent = refusal.dataset.silent.replace("{}", refusal.dataset.audioName);
  }
  const about = {
    audio_codec: "audio",
    video_codec: "video",
    pixel_format: "video",
    sample_entry: "video",
  };
  for (const finding of document.querySelectorAll(".finding")) {
    if (verdicts[about[finding.dataset.code]] !== true) continue;
    finding.classList.add("finding-fine");
    const fine = document.createElement("b");
    fine.textContent = finding.dataset.fine;
    finding.querySelector("p").prepend(fine, " ");
  }
}

refusal.querySelector("[data-anyway]").addEventListener("click", () => {
  cover(refusal, false);
  if (hasFailed()) {
    verdicts.video = undefined; // the viewer has seen more than the browser told
    answered = 0;
    recover();
  } else {
    player.play().catch(() => {});
  }
});

player.addEventListener("playing", () => refusal.hidden || cover(refusal, false)); // it does after all

refusal.querySelector(".refusal-more")?.addEventListener("click", () => {
  const details = find('.finding[data-code$="codec"] details') ?? find(".finding details");
  details.open = true;
});

// ---- where the viewer left ----

const SKIPPED = 5; // seconds at the beginning that are nothing to come back to
const resumed = find("[data-resumed]");
let secret = false;
let noted = 0;
let begun = false;

// The credits are nothing to come back to either.
const rest = (seconds) => Math.min(0.05 * seconds, 30);

function note() {
  if (!touched || secret || !isKnown() || failing || !duration()) return;
  noted = Date.now();
  const all = kept(PROGRESS);
  const at = player.currentTime;
  if (player.ended || at < SKIPPED || at > duration() - rest(duration())) delete all[path];
  else all[path] = [Math.round(at * 10) / 10, Math.round(duration() * 10) / 10, noted];
  const newest = Object.entries(all)
    .filter(([, entry]) => Array.isArray(entry) && Number.isFinite(entry[2])) // whoever wrote it
    .sort(([, one], [, other]) => other[2] - one[2]);
  keep(PROGRESS, Object.fromEntries(newest.slice(0, MOST_KEPT)));
}

function forget() {
  const all = kept(PROGRESS);
  delete all[path];
  keep(PROGRESS, all);
}

// Go where the link says, or else where the viewer left. Once, when there is something to seek in.
function begin() {
  if (begun) return;
  begun = true;
  if (playNow()) player.play().catch(() => {});
  if (stage.dataset.start || touched || !resumed) return;
  const entry = kept(PROGRESS)[path];
  const second = Array.isArray(entry) ? Number(entry[0]) : NaN;
  if (!(second >= SKIPPED && second <= duration() - rest(duration()))) return;
  position = player.currentTime = second;
  resumed.append(find("[data-resumed-words]").content.cloneNode(true));
  resumed.querySelector("b").textContent = clock(second);
  resumed.querySelector("[data-over]").addEventListener("click", () => {
    forget();
    clearResumed();
    seek(0);
  });
  resumed.querySelector("[data-forget]").addEventListener("click", () => {
    forget();
    secret = true; // for as long as this page is open
    clearResumed(resumed.dataset.forgotten);
  });
}

function clearResumed(words = "") {
  player.focus();
  resumed.textContent = words;
}

player.addEventListener("timeupdate", () => Date.now() - noted > 5000 && !player.paused && note());
for (const type of ["pause", "ended", "seeked"]) player.addEventListener(type, note);
addEventListener("pagehide", note);
document.addEventListener("visibilitychange", () => document.hidden && note());

const forgetAll = find("[data-forget-all]");
if (forgetAll) {
  forgetAll.hidden = false;
  forgetAll.querySelector("button").addEventListener("click", () => {
    keep(PROGRESS, {});
    secret = true;
    const told = forgetAll.querySelector("[role=status]");
    told.textContent = told.dataset.forgotten;
  });
}

// ---- the filmstrip and the chapters ----

const filmstrip = find("[data-filmstrip]");
const strip = filmstrip?.querySelector(".strip");
const frames = filmstrip ? [...filmstrip.querySelectorAll("a[data-t]")] : [];
const chapters = [...document.querySelectorAll("[data-chapters] a[data-t]")];
const READING = 4000; // milliseconds for which the strip stays where the viewer has put it
let scrolled = -Infinity;
let following;

const time = (link) => Number(link.dataset.t);

// The last that has begun.
function currentOf(links) {
  let low = 0;
  let high = links.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(links[middle]) <= position + 0.001) low = middle + 1;
    else high = middle;
  }
  return links[low - 1] ?? null;
}

const marked = new Map();

function mark(links) {
  const link = currentOf(links);
  if (marked.get(links) === link) return link;
  for (const other of links) {
    if (other !== link) other.removeAttribute("aria-current");
  }
  link?.setAttribute("aria-current", "true");
  marked.set(links, link);
  return link;
}

function showPlace() {
  // Before anything plays nothing is current, unless the link said where.
  if (!touched && position === 0) return;
  if (chapters.length) mark(chapters);
  if (!frames.length) return;
  const before = marked.get(frames);
  const frame = mark(frames);
  if (!frame) return;
  const next = frames[frames.indexOf(frame) + 1];
  const end = next ? time(next) : duration() || time(frame) + 1;
  const part = Math.min(1, (position - time(frame)) / Math.max(end - time(frame), 0.001));
  frame.style.setProperty("--part", part.toFixed(3));
  if (before === frame) return;
  if (!filmstrip.contains(document.activeElement)) rove(frame);
  follow();
}

// Keep the current frame in view, once nobody looks at others.
function follow() {
  clearTimeout(following);
  const reading = filmstrip.matches(":hover, :focus-within");
  if (reading || performance.now() - scrolled < READING) following = setTimeout(follow, READING);
  else centre(marked.get(frames));
}

// Of the strip alone: the page stays where its reader is.
function centre(frame) {
  const [outer, inner] = [strip.getBoundingClientRect(), frame.getBoundingClientRect()];
  const by = inner.left + inner.width / 2 - outer.left - outer.width / 2;
  strip.scrollBy({ left: by, behavior: calm.matches ? "instant" : "smooth" });
}

// One stop of the Tab key for all frames; the arrows go from one to the next.
function rove(frame) {
  for (const other of frames) other.tabIndex = other === frame ? 0 : -1;
}

function jump(event) {
  const link = event.target.closest("a[data-t]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    return;
  event.preventDefault();
  seek(time(link));
}

for (const list of [strip, find("[data-chapters]")]) list?.addEventListener("click", jump);

if (filmstrip) {
  const preview = filmstrip.querySelector(".preview");
  const hide = () => (preview.hidden = true);
  const show = (event) => {
    const frame = event.target.closest("a[data-t]");
    if (!frame || event.pointerType === "touch") return;
    const [svg, from] = [preview.querySelector("svg"), frame.querySelector("svg")];
    svg.setAttribute("viewBox", from.getAttribute("viewBox"));
    svg.querySelector("use").setAttribute("href", from.querySelector("use").getAttribute("href"));
    preview.querySelector("span").textContent = frame.textContent.trim();
    preview.hidden = false;
    const [outer, inner] = [filmstrip.getBoundingClientRect(), frame.getBoundingClientRect()];
    const middle = inner.left + inner.width / 2 - outer.left - preview.offsetWidth / 2;
    const most = outer.width - preview.offsetWidth;
    preview.style.left = `${Math.max(0, Math.min(middle, most))}px`;
  };
  rove(currentOf(frames) ?? frames[0]);
  strip.addEventListener("pointerover", show);
  strip.addEventListener("focusin", (event) => {
    rove(event.target.closest("a[data-t]") ?? frames[0]);
    if (event.target.matches(":focus-visible")) show(event);
  });
  // The frames have gone on from under the pointer; what the keys have come to may have come along.
  strip.addEventListener("scroll", () => {
    const frame = strip.querySelector("a:focus-visible");
    if (frame && !preview.hidden && isInView(frame)) show({ target: frame });
    else hide();
  });
  filmstrip.addEventListener("pointerleave", hide);
  strip.addEventListener("focusout", hide);
  for (const type of ["wheel", "pointerdown", "touchmove"]) {
    strip.addEventListener(type, () => (scrolled = performance.now()), { passive: true });
  }
  filmstrip.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") hide();
    const backwards = getComputedStyle(strip).direction === "rtl";
    const at = frames.indexOf(event.target);
    const to = {
      ArrowLeft: at + (backwards ? 1 : -1),
      ArrowRight: at + (backwards ? -1 : 1),
      Home: 0,
      End: frames.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the player's own arrows are for elsewhere
    scrolled = performance.now();
    const frame = frames[to];
    frame?.focus({ preventScroll: true });
    if (frame) centreNow(frame);
  });
}

function isInView(frame) {
  const [inner, outer] = [frame.getBoundingClientRect(), strip.getBoundingClientRect()];
  return inner.left >= outer.left - 1 && inner.right <= outer.right + 1; // parts of a pixel
}

function centreNow(frame) {
  if (isInView(frame)) return;
  const inner = frame.getBoundingClientRect();
  const outer = strip.getBoundingClientRect();
  strip.scrollBy({
    left: inner.left + inner.width / 2 - outer.left - outer.width / 2,
    behavior: "instant",
  });
}

// ---- tools: speed, theatre, copies ----

const tools = find("[data-tools]");
const said = find(".say");
let fading;

function say(name, value = "") {
  clearTimeout(fading);
  said.textContent = said.dataset[name].replace("{}", () => value);
  fading = setTimeout(() => (said.textContent = ""), 1500);
}

const speeds = find("[data-speeds]");

function go(speed) {
  player.defaultPlaybackRate = speed; // load() goes back to it
  player.playbackRate = speed;
}

player.addEventListener("ratechange", () => {
  if (!speeds || failing) return;
  const speed = player.playbackRate;
  speeds.value = String(speed);
  if (speeds.value === "") speeds.add(new Option(`${speed}×`, String(speed), false, true));
  if (player.defaultPlaybackRate !== speed) player.defaultPlaybackRate = speed;
  if ((settings.speed ?? 1) !== speed) set("speed", speed);
});
// Browsers throw at what they cannot do, which is less than a sixteenth or more than 16 times.
if (settings.speed >= 0.1 && settings.speed <= 4) go(settings.speed);
speeds?.addEventListener("change", () => go(Number(speeds.value)));

function faster(steps) {
  const known = [...(speeds?.options ?? [])].map((option) => Number(option.value));
  const at = known.sort((one, other) => one - other).indexOf(player.playbackRate);
  const speed = known[at + steps];
  if (speed) go(speed);
  say("speed", String(player.playbackRate));
}

const theatre = find("[data-theatre]");

function widen(wide) {
  document.documentElement.classList.toggle("theatre", wide);
  theatre.setAttribute("aria-pressed", String(wide));
}

if (theatre) {
  widen(settings.theatre === true);
  theatre.addEventListener("click", () => {
    set("theatre", settings.theatre !== true);
    widen(settings.theatre);
  });
}

const toolStatus = find(".tool-status");

async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    toolStatus.textContent = "";
    toolStatus.textContent = toolStatus.dataset.copied;
    setTimeout(() => (toolStatus.textContent = ""), 3000);
  } catch {
    field(); // for the viewer to copy
  }
}

if (tools) {
  tools.hidden = false;
  tools.querySelector("[data-copy]").addEventListener("click", () => {
    const link = new URL(location.pathname, location.href);
    const second = Math.floor(isKnown() ? player.currentTime : position);
    if (second > 0) link.searchParams.set("t", second);
    copy(link.href, () => {
      const field = find("[data-copy-field]");
      field.hidden = false;
      const input = field.querySelector("input");
      input.value = link.href;
      input.focus();
      input.select();
    });
  });
}

const copyEmbed = find("[data-copy-embed]");
if (copyEmbed) {
  copyEmbed.hidden = false;
  const code = find("#embed-code");
  code.addEventListener("focus", () => code.select());
  copyEmbed.addEventListener("click", () => copy(code.value, () => code.focus()));
}

// ---- the next in the folder ----

const NOW = "reelay.play"; // for this tab: the page that is to play as soon as it is there
const autoplay = find("[data-autoplay]");
const upnext = find("[data-upnext]");

function playNow() {
  try {
    const wanted = sessionStorage.getItem(NOW);
    sessionStorage.removeItem(NOW);
    return wanted === path;
  } catch {
    return false;
  }
}

function leave(link, on) {
  if (!link) return;
  try {
    const named = decodeURIComponent(new URL(link.href).pathname).replace(/^\/watch\//, "");
    if (on) sessionStorage.setItem(NOW, named);
  } catch {
    // Then the viewer presses play.
  }
  location.assign(link.href);
}

if (autoplay) {
  autoplay.hidden = false;
  const box = autoplay.querySelector("input");
  box.checked = settings.autoplay === true;
  box.addEventListener("change", () => set("autoplay", box.checked));
}

if (upnext && autoplay) {
  const words = upnext.querySelector("[role=status]");
  const counter = upnext.querySelector(".countdown");
  const now = upnext.querySelector("[data-now]");
  let counting;
  const cancel = () => {
    clearInterval(counting);
    if (!upnext.hidden) cover(upnext, false);
    words.replaceChildren();
  };
  player.addEventListener("ended", () => {
    if (settings.autoplay !== true) return;
    cancel();
    let left = Number(words.dataset.seconds);
    counter.textContent = left;
    cover(upnext, true);
    words.append(upnext.querySelector("template").content.cloneNode(true));
    counting = setInterval(() => {
      counter.textContent = left -= 1;
      if (left > 0) return;
      clearInterval(counting);
      leave(now, true);
    }, 1000);
  });
  now.addEventListener("click", (event) => {
    event.preventDefault();
    leave(now, true);
  });
  upnext.querySelector("[data-cancel]").addEventListener("click", cancel);
  for (const type of ["play", "seeking"])
    player.addEventListener(type, () => !upnext.hidden && cancel());
  addEventListener("keydown", (event) => event.key === "Escape" && !upnext.hidden && cancel());
  addEventListener("pageshow", cancel); // back from the next one
}

// ---- keys ----

const dialog = find("[data-keys-dialog]");

function toggle() {
  if (player.paused || player.ended) player.play().catch(() => {});
  else player.pause();
}

function louder(by) {
  player.volume = Math.min(1, Math.max(0, Math.round((player.volume + by) * 100) / 100));
  if (by > 0) player.muted = false;
  say("volume", String(Math.round(player.volume * 100)));
}

function mute() {
  player.muted = !player.muted;
  say(player.muted ? "muted" : "loud");
}

let lastShown = null;

function captions() {
  const tracks = [...player.textTracks].filter((track) =>
    ["subtitles", "captions"].includes(track.kind),
  );
  const shown = tracks.find((track) => track.mode === "showing");
  if (shown) {
    lastShown = shown;
    shown.mode = "disabled";
    say("captionsOff");
    return;
  }
  const speaks = (track) =>
    navigator.languages.some((one) => one.split("-")[0] === track.language.split("-")[0]);
  const wanted = (tracks.includes(lastShown) && lastShown) || tracks.find(speaks) || tracks[0];
  if (wanted) wanted.mode = "showing";
  say(wanted ? "captions" : "noCaptions", wanted?.label);
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
  else player.webkitEnterFullscreen?.();
}

function step(frames) {
  if (player.paused) seek(player.currentTime + frames / (Number(stage.dataset.frameRate) || 25));
}

function listKeys() {
  if (!dialog) return;
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

const KEYS = {
  " ": toggle,
  k: toggle,
  j: () => seek(position - 10),
  l: () => seek(position + 10),
  ArrowLeft: () => seek(position - 5),
  ArrowRight: () => seek(position + 5),
  ArrowUp: () => louder(0.1),
  ArrowDown: () => louder(-0.1),
  m: mute,
  c: captions,
  f: fullscreen,
  t: () => theatre?.click(),
  ",": () => step(-1),
  ".": () => step(1),
  "<": () => faster(-1),
  ">": () => faster(1),
  N: () => leave(find("[data-next]"), playing),
  P: () => leave(find("[data-prev]"), playing),
  "?": listKeys,
};
for (let tenth = 0; tenth < 10; tenth += 1) {
  KEYS[tenth] = () => duration() && seek((duration() * tenth) / 10);
}

// What the browser's own controls do with a key, where they have the focus, they do alone.
const NATIVE = new Set([" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);
const TYPING = "textarea, select, [contenteditable], input:not([type=checkbox], [type=button])";
const PRESSED = "a, button, summary, input, pre, dialog, [role=button]";

// With a modifier, and where somebody types, a key is not the player's.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
    return;
  const shifted = event.shiftKey && event.key.length === 1;
  const act = KEYS[shifted || event.key.length > 1 ? event.key : event.key.toLowerCase()];
  if (!act || (settings.keys === false && event.key !== "?")) return;
  if (event.shiftKey && event.key.length > 1) return;
  const target = event.target;
  if (target.closest(TYPING) || (dialog?.open && event.key !== "?")) return;
  if (NATIVE.has(event.key) && (target === player || target.closest(PRESSED))) return;
  // By these a page is scrolled, where the player has not the focus.
  if (/^Arrow(Up|Down)$/.test(event.key) && !stage.contains(document.activeElement)) return;
  event.preventDefault();
  act();
});

find("[data-keys]")?.addEventListener("click", listKeys);
if (dialog) {
  const on = dialog.querySelector("[data-keys-on]");
  on.checked = settings.keys !== false;
  on.addEventListener("change", () => set("keys", on.checked));
}

// ---- begin ----

judge();
if (isKnown()) begin();
// The source may have failed before this module ran.
else if (hasFailed()) recover();
if (position > 0) showPlace();
