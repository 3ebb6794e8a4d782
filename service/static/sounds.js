// The sounds of the film: a menu of them, and which one the player gets. Browsers play the first sound,
// so each has a URL of its own. The language that was chosen is kept for all videos.

import { find, showText, stage } from "./page.js";
import { fetchVideo } from "./server.js";
import { saveSetting, settings } from "./store.js";
import { showToast } from "./toast.js";

const [DELAY, MAX_DELAY] = [2000, 30_000]; // milliseconds between questions how far a sound is
const DUE = new Set(["waiting", "possible"]); // states of what is still to be made

export class Sounds {
  #all = JSON.parse(stage.dataset.sounds ?? "[]"); // as in the JSON of the video
  #wanted; // a number; 0: what the player gets unasked
  #recovery;
  #signal; // aborted when the page goes to another video

  constructor(signal) {
    this.#signal = signal;
    this.#wanted = Number(stage.dataset.sound) || this.#preferred();
  }

  /** The sound that the player loads first; null if it is what the page names. */
  get first() {
    const sound = this.#find(this.#wanted);
    return sound?.state === "ready" && !stage.dataset.sound ? sound : null;
  }

  /** Return the JSON of the video with the URLs of the sound that is wanted, as soon as it is ready. */
  of(video) {
    this.#all = video?.sounds ?? this.#all;
    const sound = this.#find(this.#wanted);
    if (!video || sound?.state !== "ready") return video;
    const { url, fragments, seekable_url } = sound;
    return { ...video, media_url: url, fragments, seekable_url };
  }

  /** Let the viewer choose. The player gets another sound by way of `recovery`. */
  start(recovery) {
    this.#recovery = recovery;
    for (const link of document.querySelectorAll("[data-sound-link]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.#choose(Number(link.dataset.soundLink));
        closeMenu(link);
      });
    }
    const closeOthers = ({ target }) => {
      for (const menu of document.querySelectorAll(".sounds[open]")) {
        if (!menu.contains(target)) menu.open = false;
      }
    };
    document.addEventListener("click", closeOthers, { signal: this.#signal });
    this.#mark();
    if (DUE.has(this.#find(this.#wanted)?.state)) this.#await(this.#wanted, 0);
  }

  /** Go to the next sound that can be chosen. */
  next() {
    const known = this.#all.filter(({ state }) => state === "ready" || DUE.has(state));
    if (known.length < 2) return;
    this.#choose(known[(known.indexOf(this.#current) + 1) % known.length].number);
  }

  get #current() {
    return this.#find(this.#wanted) ?? this.#all.find((sound) => sound.default);
  }

  #find(number) {
    return this.#all.find((sound) => sound.number === number);
  }

  /** Return the number of the first sound in the viewer's language; 0 if it is heard anyway. */
  #preferred() {
    const isPreferred = ({ language, state }) =>
      language && language === settings.sound && state !== "none";
    const sounds = this.#all.filter(isPreferred);
    return sounds.some((sound) => sound.default) ? 0 : (sounds[0]?.number ?? 0);
  }

  #choose(number) {
    const before = this.#wanted;
    if (number === this.#current?.number) return;
    this.#wanted = number;
    const { language, label } = this.#find(number);
    saveSetting("sound", language);
    const url = new URL(location);
    url.searchParams.set("sound", number);
    history.replaceState(history.state, "", url); // so that the page has it when it is loaded again
    this.#mark();
    showToast("sound", label);
    this.#await(number, before);
  }

  /** Load the sound as soon as it is ready; if it cannot be had, want the one `before` again. */
  async #await(number, before) {
    let delay = DELAY;
    for (;;) {
      const found = await fetchVideo(`${stage.dataset.api}?sound=${number}`);
      if (this.#wanted !== number || this.#signal.aborted) return;
      const video = this.of(found);
      const sound = this.#find(number);
      if (found && !DUE.has(sound?.state)) {
        if (sound?.state === "ready") this.#recovery.adopt(video);
        else this.#wanted = before;
        this.#show(sound);
        this.#mark();
        return;
      }
      if (!found && (await this.#isReplaced(number))) return;
      this.#show(sound);
      delay = found ? DELAY : Math.min(2 * delay, MAX_DELAY); // the server or the file is away
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }

  /**
   * Without an answer about a sound: load the film anew if it was replaced by one that lacks the sound.
   * Return whether that is so, or nobody waits for the sound any more.
   */
  async #isReplaced(number) {
    const video = await fetchVideo(stage.dataset.api);
    if (this.#wanted !== number || this.#signal.aborted) return true;
    this.of(video);
    if (!video || this.#find(number)) return false;
    this.#wanted = 0;
    this.#recovery.adopt(video);
    this.#show(null);
    this.#mark();
    return true;
  }

  /** Show how far a sound is, or why it cannot be had. */
  #show(sound) {
    const status = find("[data-sound-status]");
    if (!status) return;
    const { waiting, progress, failed } = status.dataset;
    const percent = Math.floor(100 * (sound?.progress ?? 0));
    if (sound?.state === "ready") showText(status, "");
    else if (!DUE.has(sound?.state)) showText(status, failed, sound?.problem);
    else showText(status, percent ? progress.replace("{}", percent) : waiting);
  }

  /** Mark the current sound in the menu, without those that the file lacks since it was replaced. */
  #mark() {
    const current = this.#current;
    for (const link of document.querySelectorAll("[data-sound-link]")) {
      const number = Number(link.dataset.soundLink);
      link.closest("li").hidden = !this.#find(number);
      const isCurrent = number === current?.number;
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const name = find("[data-sound-name]");
    if (!name || !current) return;
    name.textContent = current.label;
    name.lang = current.language ?? "";
  }
}

function closeMenu(link) {
  link.closest("[popover]")?.hidePopover();
  const menu = link.closest("details");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}
