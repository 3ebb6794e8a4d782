// Where playback is and whether it goes on. No other module sets the player's position or source.

/**
 * Dispatches `ready` once, when there is something to seek in; `seek` when the viewer seeks; and
 * `position` when the position is to be shown.
 */
export class Playback extends EventTarget {
  /** Whether the player recovers from a failure: its events then say nothing about the viewer. */
  frozen = false;
  /** Whether the viewer has played or sought, so that there is something to remember. */
  interacted = false;

  #player;
  #position; // the player forgets its own when a source is loaded or fails
  #playing = false;
  #wasReady = false;

  /** `start` is a position in seconds. */
  constructor(player, start) {
    super();
    this.#player = player;
    this.#position = start;
    for (const type of ["timeupdate", "seeking", "seeked"]) {
      player.addEventListener(type, () => this.#update());
    }
    player.addEventListener("play", () => {
      this.#playing = this.interacted = true;
    });
    player.addEventListener("pause", () => {
      if (this.known && !this.frozen) this.#playing = false;
    });
    player.addEventListener("loadedmetadata", () => this.#restore());
  }

  get position() {
    return this.#position;
  }

  /** Whether it plays, or is to play on after a failure. */
  get playing() {
    return this.#playing;
  }

  /** Whether the player has a source that it can seek in. */
  get known() {
    return this.#player.readyState > 0 && !this.#player.error;
  }

  /** The duration in seconds; 0 if it is not known. */
  get duration() {
    return Number.isFinite(this.#player.duration) ? this.#player.duration : 0;
  }

  /** Begin with a player that may have loaded its source before this module ran. */
  begin() {
    if (this.known) this.#ready();
    this.#show();
  }

  seek(second) {
    this.interacted = true;
    this.#position = Math.max(0, this.#withinDuration(second));
    this.dispatchEvent(new Event("seek"));
    if (this.known) this.#player.currentTime = this.#position; // else as soon as it is
    this.#show();
  }

  /** Move the position of a player that has failed. */
  skip(seconds) {
    this.#position += seconds;
  }

  /** Go to where the viewer has left. */
  resumeAt(second) {
    this.#position = this.#player.currentTime = second;
  }

  play() {
    this.#player.play().catch(() => {}); // refused without a gesture: the controls are there
  }

  toggle() {
    if (this.#player.paused || this.#player.ended) this.play();
    else this.#player.pause();
  }

  load(url) {
    this.#player.querySelector("source").src = url;
    this.#player.load();
  }

  #update() {
    if (!this.known || this.frozen) return;
    this.#position = this.#player.currentTime;
    this.#show();
  }

  #restore() {
    const playOn = this.frozen && this.#playing;
    this.#ready();
    if (this.#position > 0 && Math.abs(this.#player.currentTime - this.#position) > 0.5) {
      this.#player.currentTime = this.#withinDuration(this.#position);
    }
    if (playOn) this.play();
  }

  #ready() {
    if (this.#wasReady) return;
    this.#wasReady = true;
    this.dispatchEvent(new Event("ready"));
  }

  // Before anything plays nothing is current, unless the link has a position.
  #show() {
    if (this.interacted || this.#position > 0) this.dispatchEvent(new Event("position"));
  }

  #withinDuration(second) {
    return this.duration ? Math.min(second, this.duration) : second;
  }
}
