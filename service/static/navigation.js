// Goes to another video in the same document: full screen stays, and browsers that let a document
// play sound after a click let it go on. Where that is not possible, the page is opened as usual.

import { askToPlay, isPlainClick } from "./handover.js";
import { find, focusPlayer, player } from "./page.js";
import { videoPathOf } from "./paths.js";

// What describes the video in the head of its page.
const ABOUT = [
  'meta[name="description"]',
  "meta[property]",
  'meta[name^="twitter:"]',
  'link[rel="canonical"]',
  'link[rel="alternate"]',
  'script[type="application/ld+json"]',
].join();
const SCRIPT = 'script[type="module"]';

export class Navigation {
  #leave;
  #enter;
  #shown = location.pathname;
  #request = new AbortController();

  /**
   * `leave` ends what belongs to the video of the page. `enter` begins with that of the new page,
   * and plays it if its argument says so.
   */
  constructor(leave, enter) {
    this.#leave = leave;
    this.#enter = enter;
    if (!find("main#main")) return; // an embedded player: links open pages of their own
    document.addEventListener("click", (event) => this.#follow(event));
    addEventListener("popstate", () => this.#goBack());
  }

  /** Open the page of a link to a video, and play it if wanted. */
  async open(link, play = true) {
    if (link) await this.#load(link.href, play, () => history.pushState(null, "", link.href));
  }

  #follow(event) {
    const link = event.target.closest?.("main a[href]");
    if (!link || event.defaultPrevented || !isPlainClick(event)) return;
    const isOther = !link.target && !link.hasAttribute("download");
    const path = videoPathOf(link.href);
    if (!isOther || path === null || path === videoPathOf(location.href)) return;
    event.preventDefault();
    this.open(link);
  }

  // The browser has changed the address already. Links to a part of the page do that as well.
  #goBack() {
    if (location.pathname !== this.#shown) this.#load(location.href, !player.paused, () => {});
  }

  async #load(url, play, changeAddress) {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    const page = await fetchPage(url, signal);
    if (signal.aborted) return;
    if (!page) {
      if (play) askToPlay(url);
      location.assign(url);
      return;
    }
    this.#leave();
    changeAddress();
    this.#shown = location.pathname;
    replacePage(page);
    this.#enter(play);
  }
}

/** Return the document of a video's page; null if it cannot take the place of this one. */
async function fetchPage(url, signal) {
  try {
    const response = await fetch(url, { signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const isSameRelease = page.querySelector(SCRIPT)?.src === find(SCRIPT).src;
    const isSameKind = page.querySelector("[data-player]")?.localName === player.localName;
    return response.ok && isSameRelease && isSameKind ? page : null;
  } catch {
    return null;
  }
}

function replacePage(page) {
  const focused = document.activeElement?.closest("[data-stage] [data-control]")?.dataset.control;
  const hadFocus = document.activeElement !== document.body;
  for (const old of document.head.querySelectorAll(ABOUT)) old.remove();
  document.head.append(...page.head.querySelectorAll(ABOUT));
  document.title = page.title;
  replacePlayer(page.querySelector("[data-player]"));
  if (focused) (find(`[data-control="${focused}"]`) ?? find("[data-play]"))?.focus();
  else if (hadFocus && document.activeElement === document.body) focusPlayer();
  scrollTo({ top: 0, behavior: "instant" });
}

// The player and the elements around it stay: if they were moved in the document, playback would
// stop, and full screen would end. All that is beside them is replaced.
function replacePlayer(fresh) {
  const kept = new Set(["controls", "tabindex"]);
  copyAttributes(player, fresh, kept);
  player.replaceChildren(...fresh.childNodes);
  let [old, other] = [player, fresh];
  while (old.localName !== "main") {
    replaceSiblings(old, other);
    [old, other] = [old.parentElement, other.parentElement];
    copyAttributes(old, other, kept);
  }
}

function replaceSiblings(old, fresh) {
  const siblings = [...fresh.parentElement.childNodes];
  const index = siblings.indexOf(fresh);
  for (const sibling of [...old.parentElement.childNodes]) {
    if (sibling !== old) sibling.remove();
  }
  old.before(...siblings.slice(0, index));
  old.after(...siblings.slice(index + 1));
}

function copyAttributes(old, fresh, kept) {
  for (const { name } of [...old.attributes]) {
    if (!kept.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!kept.has(name)) old.setAttribute(name, value);
  }
}
