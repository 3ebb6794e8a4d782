// Lets a player recover by itself after a failure. It uses no DOM: it reads the state of the media
// element, is told of its events, and dispatches what is to be done.

// Milliseconds without a byte while the player waits: after NOTICE_AFTER the server is asked if it
// answers, after MAX_SILENCE the source is loaded again. The edge holds requests for ten seconds.
const NOTICE_AFTER = 5000;
const MAX_SILENCE = 20_000;
const MAX_DELAY = 60; // seconds between attempts
// Failures in a row of a source that the server sends, which take half a minute.
const MAX_FAILURES = 6;
const MIN_GONE_ATTEMPT = 3; // so that a deleted file is asked for after 16 seconds or more

// HTML §4.8.11: constants of HTMLMediaElement and MediaError.
const NETWORK_NO_SOURCE = 3;
const [HAVE_CURRENT_DATA, HAVE_FUTURE_DATA] = [2, 3];
const [MEDIA_ERR_NETWORK, MEDIA_ERR_DECODE] = [2, 3];

const PROGRESS = new Set(["progress", "timeupdate", "seeking", "canplay", "play"]);
const DATA = new Set(["loadeddata", "seeked", "canplay", "playing"]);
export const EVENTS = new Set([...PROGRESS, ...DATA]);

/**
 * What the player is doing:
 * - playing: nothing is wrong
 * - checking: it has stalled, and the server is asked whether it answers
 * - asking: it has failed, and the server is asked why
 * - waiting: the next attempt is scheduled
 * - reloading: the source is being loaded again
 * - gone: the server has no such file; an attempt is scheduled, as it may come back
 * - unplayable: only the viewer can go on
 * @typedef {"playing"|"checking"|"asking"|"waiting"|"reloading"|"gone"|"unplayable"} State
 */

/**
 * Dispatches `change` with its new `state` and perhaps a `reason` to show, `load` with a `url` to
 * load, and `replaced` with a `video`, the JSON of a new revision.
 */
export class Recovery extends EventTarget {
  /** @type {State} */
  state = "playing";

  #media;
  #url;
  #server;
  #verdict;
  #seekableUrl = null;
  #attempt = 0;
  #failuresWithServerUp = 0; // in a row, although the server sends the file
  #timer;
  #lastProgressAt = performance.now();
  #silenceLimit = MAX_SILENCE;
  #playedFrom = 0; // seconds
  #hasPlayed = false;
  #isStopped = false;

  /**
   * @param {HTMLMediaElement} media
   * @param {string} url of its source
   * @param {{statusOf: (url) => Promise<number>, fetchVideo: () => Promise<object?>}} server
   * @param {{playable: boolean, decodable: boolean}} verdict
   */
  constructor(media, url, server, verdict) {
    super();
    this.#media = media;
    this.#url = url;
    this.#server = server;
    this.#verdict = verdict;
  }

  /** Whether a failure is not over yet. */
  get active() {
    return this.state !== "playing" && this.state !== "checking";
  }

  get hasFailed() {
    return Boolean(this.#media.error) || this.#media.networkState === NETWORK_NO_SOURCE;
  }

  /** Report one of EVENTS of the media element. */
  report(type) {
    const media = this.#media;
    if (PROGRESS.has(type)) this.#lastProgressAt = performance.now();
    if (type === "playing" || type === "seeking") this.#playedFrom = media.currentTime;
    if (type === "timeupdate" && !this.active) {
      if (media.currentTime > 1) this.#hasPlayed = true;
      // After a second of playback the failure is over.
      if (media.currentTime > this.#playedFrom + 1) this.#failuresWithServerUp = this.#attempt = 0;
    }
    const hasData = !media.error && media.readyState >= HAVE_CURRENT_DATA && !media.seeking;
    if (DATA.has(type) && hasData) this.recovered();
  }

  /** Report that the source has failed. */
  failed() {
    if (!this.#isAsking) this.#ask(false);
  }

  /** Use this URL of the same film if the decoder fails: it begins at every key frame there. */
  offerSeekable(url) {
    this.#seekableUrl = url ?? null;
  }

  /** Load the film for decoders that do not begin at open GOPs; return false if there is none. */
  useSeekable() {
    if (!this.#seekableUrl || this.#media.error?.code !== MEDIA_ERR_DECODE) return false;
    const url = new URL(this.#seekableUrl, this.#url);
    this.#seekableUrl = null;
    this.#load(url);
    return true;
  }

  /** Try again now: the viewer wants it, or the delay is over. */
  retry() {
    if (!this.#isAsking) this.#ask(true);
  }

  /** Try again if that may help: the network or the viewer is back. */
  wake() {
    if (this.active && this.state !== "unplayable") this.retry();
  }

  /** Load the source again, without asking the server. */
  reload() {
    if (this.hasFailed) this.#failuresWithServerUp += 1;
    else if (this.#media.readyState >= HAVE_FUTURE_DATA) {
      this.#enter("playing"); // the player has recovered by itself
      return;
    }
    this.#load(this.#url, "reloading");
  }

  /** Report that the player has what it needs. */
  recovered() {
    if (this.active && !this.#isAsking) this.#enter("playing");
  }

  /** Try a source that was taken for unplayable. */
  tryAnyway() {
    this.#failuresWithServerUp = 0;
    this.failed();
  }

  /**
   * Look for a stall. Browsers try for half a minute before they report an error, and report none
   * while a connection stays open and brings nothing.
   */
  check() {
    const stalled = this.state === "playing" && this.#isWaitingForData;
    if (!stalled && this.state !== "reloading") return;
    const silence = performance.now() - this.#lastProgressAt;
    if (silence >= this.#silenceLimit) {
      this.#silenceLimit *= 2; // a slow connection is not cut off again and again
      this.retry();
    } else if (stalled && silence >= NOTICE_AFTER) {
      this.#checkServer();
    }
  }

  /** Report that the source can never play here, though it has not failed. */
  refuse() {
    this.#giveUp();
  }

  /** Load what the server sends of the same file now, by the JSON of the video. */
  adopt(video) {
    const url = new URL(video.media_url, this.#url);
    if (url.href === this.#url && !this.active) return;
    this.#failuresWithServerUp = 0;
    this.#dispatch("replaced", { video });
    this.#load(url);
  }

  /** Do nothing more: the player gets another film. */
  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  get #isAsking() {
    return this.state === "asking" || this.state === "checking";
  }

  get #isWaitingForData() {
    const { paused, ended, readyState } = this.#media;
    return !paused && !ended && readyState < HAVE_FUTURE_DATA;
  }

  /** Whether the file, or this browser with it, has failed and not the connection. */
  get #isFileAtFault() {
    const code = this.#media.error?.code;
    // Chromium waits for a key of an encrypted file, and reports no error.
    if (!this.hasFailed) return !this.#verdict.playable && !this.#hasPlayed;
    const isRepeated = this.#failuresWithServerUp >= MAX_FAILURES;
    // Chromium reports an error of the network if an MP4 has an index and no frames.
    if (code === MEDIA_ERR_NETWORK) {
      return isRepeated && !this.#verdict.playable && !this.#hasPlayed;
    }
    // Firefox reports no error of the file, but that of its <source>.
    if (isRepeated) return true;
    return code === MEDIA_ERR_DECODE || !this.#verdict.decodable || !this.#verdict.playable;
  }

  // A silent source has been given its time, and is not loaded again.
  get #hasFailedBefore() {
    return this.#failuresWithServerUp > 0 || !this.hasFailed;
  }

  #enter(state, reason) {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.state = state;
    if (state === "playing") this.#silenceLimit = MAX_SILENCE;
    this.#dispatch("change", { state, reason });
  }

  #dispatch(type, detail) {
    if (this.#isStopped) return;
    this.dispatchEvent(Object.assign(new Event(type), detail));
  }

  // `due`: load again whatever has happened before.
  async #ask(due) {
    this.#enter("asking");
    const status = await this.#server.statusOf(this.#url);
    if (status === 410) await this.#loadNewRevision();
    else if (status === 404) this.#showGone();
    else if (status !== 200 && status !== 206) this.#showUnreachable(status);
    else if (this.#hasFailedBefore && this.#isFileAtFault) this.#giveUp();
    else if (this.#failuresWithServerUp > 0 && !due) this.#scheduleRetry("reloading");
    else this.reload();
  }

  async #checkServer() {
    this.#enter("checking");
    const status = await this.#server.statusOf(this.#url);
    const isDown = status === 0 || status >= 500;
    if (this.hasFailed) await this.#ask(false);
    else if (isDown && this.#isWaitingForData) this.#showUnreachable(status);
    else this.#enter("playing");
  }

  #showUnreachable(status) {
    this.#failuresWithServerUp = 0;
    this.#scheduleRetry(status ? "unavailable" : "lost");
  }

  #scheduleRetry(reason) {
    const jitter = 0.75 + Math.random() / 2; // not all players at once
    this.#enter("waiting", reason);
    this.#retryIn(Math.min(MAX_DELAY, 2 ** this.#attempt) * jitter);
    this.#attempt += 1;
  }

  #showGone() {
    this.#enter("gone", "gone");
    this.#attempt = Math.max(this.#attempt, MIN_GONE_ATTEMPT) + 1;
    this.#retryIn(Math.min(MAX_DELAY, 2 ** this.#attempt));
  }

  #retryIn(seconds) {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => this.retry(), seconds * 1000);
  }

  #giveUp() {
    const cannotDecode = this.#media.error?.code === MEDIA_ERR_DECODE;
    const damaged = (cannotDecode || this.#hasPlayed) && this.#verdict.playable;
    this.#enter("unplayable", damaged ? "damaged" : undefined);
  }

  // The file was replaced, and the URL has the old revision.
  async #loadNewRevision() {
    this.#failuresWithServerUp = 0;
    this.#enter("asking", "replaced");
    const old = new URL(this.#url);
    const current = new URL(old.pathname, old);
    const video = await this.#server.fetchVideo();
    const pinned = video && new URL(video.media_url, old);
    if (pinned && pinned.search !== old.search) {
      this.#dispatch("replaced", { video });
      this.#load(pinned);
    } else if ((await this.#server.statusOf(current)) === 404) {
      this.#showGone();
    } else {
      this.#load(current); // the library has not seen the new file yet
    }
  }

  #load(address, reason) {
    const url = new URL(address);
    url.hash = ""; // the player would go to a time in it again
    this.#url = url.href;
    this.#lastProgressAt = performance.now();
    this.#enter("reloading", reason);
    this.#dispatch("load", { url: url.href });
  }
}
