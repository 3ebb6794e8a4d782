// Where playback is and whether it goes on. No other module sets the player's position or source, or
// reads its position. All positions are times on the page: see timeline.js.

const MISSED = 0.1; // seconds before the wanted position: a few frames
const NEAR = 0.5; // seconds before it, from where a film that plays or has ended is not moved again
const RETRY = 300; // milliseconds
const MAX_RETRIES = 20;

/**
 * Dispatches `ready` once, when there is something to seek in; `seek` when the viewer seeks;
 * `position` when the position is to be shown; and `refused` when the browser does not let it play
 * before the viewer has pressed something.
 */
export class Playback extends EventTarget {
  /** Whether the viewer has played or sought, so that there is something to remember. */
  interacted = false;

  #player;
  #timeline;
  #position; // the player forgets its own when a source is loaded or fails
  #wanted = null; // a position that the player has not reached
  #retry; // a timer
  #retries = 0; // since a seek has last come further
  #reached = 0; // seconds: how far the last one came
  #ownSeeks = 0; // seeks of this class that have not begun
  #playing = false;
  #wasReady = false;
  #frozen = false;

  /** `start` is a position in seconds. It leaves the player alone when the signal is aborted. */
  constructor(player, start, timeline, signal) {
    super();
    this.#player = player;
    this.#timeline = timeline;
    this.#position = start;
    const on = (type, act) => player.addEventListener(type, act, { signal });
    for (const type of ["timeupdate", "seeking", "seeked"]) on(type, () => this.#update());
    on("play", () => {
      this.#playing = this.interacted = true;
    });
    on("pause", () => {
      if (this.known && !this.frozen && !this.#isCutShort) this.#playing = false;
    });
    on("loadedmetadata", () => this.#prepare());
    on("seeking", () => this.#notice());
    on("seeked", () => this.#observe());
    on("durationchange", () => this.#seekAgain());
    on("playing", () => {
      if (this.#missing < NEAR) this.#wanted = null;
    });
    signal?.addEventListener("abort", () => clearTimeout(this.#retry));
  }

  /** The position as it was last shown. */
  get position() {
    return this.#position;
  }

  /** The position at this moment. */
  get now() {
    return this.known && !this.frozen ? this.#current : this.#position;
  }

  /** Whether the player loads again, or recovers: its events then say nothing about the viewer. */
  get frozen() {
    return this.#frozen;
  }

  set frozen(isFrozen) {
    if (isFrozen && this.#playing) this.#position = this.now; // more exact than what was shown last
    this.#frozen = isFrozen;
  }

  /** Whether it plays, or is to play on after a failure. */
  get playing() {
    return this.#playing;
  }

  /** Whether the film is at its end. */
  get ended() {
    const mayGoOn = this.#isCutShort && this.#retries < MAX_RETRIES;
    return this.#player.ended && !mayGoOn;
  }

  /** Whether the player has a source that it can seek in. */
  get known() {
    return this.#hasMetadata && this.#timeline.known;
  }

  /** The duration in seconds; 0 if it is not known. */
  get duration() {
    return this.#timeline.duration(this.#player.duration);
  }

  /** Up to where the film is loaded from the position on, in seconds. */
  get loaded() {
    const { buffered, currentTime } = this.#player;
    for (let index = 0; index < buffered.length; index += 1) {
      const [start, end] = [buffered.start(index), buffered.end(index)];
      if (start <= currentTime + MISSED && currentTime < end) return this.#timeline.onPage(end);
    }
    return this.#position;
  }

  get #hasMetadata() {
    return this.#player.readyState > 0 && !this.#player.error;
  }

  get #current() {
    return this.#timeline.onPage(this.#player.currentTime);
  }

  set #current(second) {
    this.#wanted = second;
    this.#ownSeeks += 1;
    this.#player.currentTime = this.#timeline.inPlayer(second);
  }

  /** Seconds from the position to the wanted one; 0 if none is wanted. */
  get #missing() {
    return this.#wanted === null ? 0 : this.#wanted - this.#current;
  }

  // Firefox learns the duration of a fragmented MP4 while it loads the file, and stops a seek at
  // what it knows. To a player that plays, this is the end of the film.
  get #isCutShort() {
    return this.#player.ended && this.#missing >= NEAR;
  }

  // So seek again until the position is reached.
  #seekAgain() {
    const far = this.#player.paused ? MISSED : NEAR;
    if (this.known && this.#missing >= far) this.#current = this.#wanted;
  }

  #checkSeek() {
    const isFurther = this.#current > this.#reached;
    this.#reached = this.#current;
    if (isFurther) this.#retries = 0;
    if (this.#missing < MISSED) {
      this.#wanted = null;
      this.#retries = 0;
      const { paused, ended } = this.#player;
      if (this.#playing && paused && !ended && !this.frozen) this.play(); // it was cut short
    } else if (this.#retries < MAX_RETRIES) {
      this.#retries += 1;
      this.#retry = setTimeout(() => this.#seekAgain(), RETRY);
    }
  }

  /** Forget what was wanted if the viewer seeks with the player's own controls. */
  #notice() {
    if (this.#ownSeeks > 0) this.#ownSeeks -= 1;
    else this.#wanted = null;
  }

  /** Begin with a player that may have loaded its source before this module ran. */
  begin() {
    if (this.known) this.#ready();
    else if (this.#hasMetadata) this.#prepare();
    this.#show();
  }

  seek(second) {
    this.interacted = true;
    this.#retries = this.#reached = 0;
    this.#position = Math.max(0, this.#withinDuration(second));
    this.dispatchEvent(new Event("seek"));
    if (this.known) this.#current = this.#position; // else as soon as it is
    this.#show();
  }

  /** Move the position of a player that has failed. */
  skip(seconds) {
    this.#position += seconds;
  }

  /** Go to where the viewer has left. */
  resumeAt(second) {
    this.#position = this.#current = second;
  }

  play() {
    this.#player.play().catch(({ name }) => {
      if (name === "NotAllowedError") this.dispatchEvent(new Event("refused"));
    });
  }

  pause() {
    this.#player.pause();
  }

  toggle() {
    if (this.#player.paused || this.#player.ended) this.play();
    else this.pause();
  }

  load(url) {
    this.#player.removeAttribute("src"); // that of a stream
    this.#player.querySelector("source").src = url;
    this.#player.load();
  }

  /** Load a stream by the URL of its MediaSource. */
  stream(url) {
    this.#player.src = url;
  }

  /** Expect a file of this type, whose own clock starts at `start`. Times are in seconds. */
  replaceFile(start, duration, type) {
    this.#timeline.reset(start, duration);
    const source = this.#player.querySelector("source");
    // Browsers refuse some types whose files they play: the page has none of these.
    if (source.type) source.type = type;
  }

  #update() {
    if (!this.known || this.frozen) return;
    this.#position = this.#current;
    this.#show();
  }

  /** Learn the browser's clock if the file's own does not begin at 0, then restore the position. */
  #prepare() {
    this.#ownSeeks = 0;
    if (this.#timeline.known) this.#restore();
    else this.#player.currentTime = 0;
  }

  #observe() {
    if (this.known) this.#checkSeek();
    if (this.#timeline.known || !this.#hasMetadata) return;
    this.#timeline.observe(this.#player.currentTime);
    this.#restore();
  }

  #restore() {
    const playOn = this.frozen && this.#playing;
    this.#ready();
    if (this.#position > 0 && Math.abs(this.#current - this.#position) > 0.5) {
      this.#current = this.#position;
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
