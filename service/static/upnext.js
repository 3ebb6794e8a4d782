// The card of the next video in the last seconds of this one, and the step to it at the end.

import { find, player, setOverlay } from "./page.js";
import { saveSetting, settings } from "./store.js";

const SHOWN_FOR = 15; // seconds before the end
const SHARE = 0.25; // of a short film, at most

export function startUpNext(playback, navigation, signal) {
  const choice = find("[data-autoplay]");
  const card = find("[data-upnext]");
  if (choice) startChoice(choice);
  if (card) new UpNext(card, playback, navigation, signal);
}

// Series and albums go on by themselves, and other videos do not, unless the viewer has said so.
const isWanted = () => settings.autoplay ?? find("[data-autoplay]")?.dataset.autoplay === "on";

function startChoice(choice) {
  choice.hidden = false;
  const box = choice.querySelector("input");
  box.checked = isWanted();
  box.addEventListener("change", () => saveSetting("autoplay", box.checked));
}

class UpNext {
  #card;
  #playback;
  #isCancelled = false;

  constructor(card, playback, navigation, signal) {
    this.#card = card;
    this.#playback = playback;
    playback.addEventListener("position", () => this.#update());
    card.querySelector("[data-cancel]").addEventListener("click", () => this.#cancel());
    const onKey = ({ key }) => key === "Escape" && !card.hidden && this.#cancel();
    document.addEventListener("keydown", onKey, { signal });
    const onEnd = () => {
      if (!playback.ended || !isWanted() || this.#isCancelled) return;
      navigation.open(card.querySelector("[data-now]"));
    };
    player.addEventListener("ended", onEnd, { signal });
  }

  #update() {
    const { duration, position, interacted } = this.#playback;
    const left = duration - position;
    const isNear = duration > 0 && left <= Math.min(SHOWN_FOR, SHARE * duration);
    const isShown = isNear && interacted && isWanted() && !this.#isCancelled;
    if (isShown === this.#card.hidden) this.#show(isShown);
    this.#card.querySelector(".countdown").textContent = Math.max(0, Math.ceil(left));
  }

  #show(isShown) {
    setOverlay(this.#card, isShown);
    const status = this.#card.querySelector("[role=status]");
    status.replaceChildren();
    if (!isShown) return;
    status.append(this.#card.querySelector("template").content.cloneNode(true));
  }

  #cancel() {
    this.#isCancelled = true;
    this.#show(false);
  }
}
