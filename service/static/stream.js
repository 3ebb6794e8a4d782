// Plays a fragmented MP4 by Media Source Extensions: loads the segments that the player needs next.

import { readRange } from "./ranges.js";
import { Segments } from "./segments.js";

// Seconds of the film: what is kept after the position, the same before anybody has played, and what
// is kept before the position.
const [AHEAD, AHEAD_AT_REST, BEHIND] = [30, 2, 20];
// Seconds after which the last segment of a request begins. The first picture after a seek may need
// two segments, and a request for each would take the time of a round trip more.
const RUN = 3;
const MIN_AHEAD = 5; // where the browser has little room
const MAX_RATE = 2; // at twice the speed as many seconds last half as long
const SLACK = 10; // seconds beyond these before anything is removed

const EVENTS = ["seeking", "timeupdate", "play", "ratechange"];

const next = (target, type) =>
  new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));

/** Return whether this browser plays the fragments that the JSON of a video names. */
export function canStream(fragments) {
  const source = globalThis.MediaSource;
  return Boolean(fragments && source?.isTypeSupported(fragments.type));
}

/** A film that a player gets in segments. What fails is an error of the player. */
export class SegmentStream {
  #player;
  #film;
  #source = new MediaSource();
  #buffer;
  #segments;
  #first = 0; // the segment that loading began with after the last seek
  #next = 0; // the segment to be loaded
  #ahead = AHEAD;
  #hasSought = false;
  #loading = new AbortController();
  #wake = () => {};

  /** `film` has a `url`, the bytes of its `head`, and its `type`. */
  constructor(player, film) {
    this.#player = player;
    this.#film = film;
    this.#source.addEventListener("sourceopen", () => this.#run(), { once: true });
    this.#source.addEventListener("sourceclose", () => this.#stop());
    /** What the player is to load. */
    this.url = URL.createObjectURL(this.#source);
  }

  async #run() {
    URL.revokeObjectURL(this.url);
    try {
      await this.#open();
      for (const type of EVENTS) this.#player.addEventListener(type, this.#onEvent);
      while (this.#isOpen) await this.#step();
    } catch {
      this.#fail();
    }
    this.#stop();
  }

  get #isOpen() {
    return this.#source.readyState !== "closed" && !this.#player.error;
  }

  async #open() {
    this.#buffer = this.#source.addSourceBuffer(this.#film.type);
    const head = new Uint8Array(this.#film.head);
    let length = 0;
    const parts = readRange(this.#film.url, 0, head.length, this.#loading.signal);
    for await (const part of parts) {
      head.set(part, length);
      length += part.length;
    }
    this.#segments = new Segments(head);
    const known = next(this.#player, "loadedmetadata");
    await this.#append(head);
    await known; // then the player's position is where the viewer wants to begin
    this.#next = this.#first = this.#segments.at(this.#player.currentTime);
  }

  /** Load some segments, or wait until they are needed. */
  async #step() {
    if (this.#hasSought) this.#follow();
    const at = this.#player.currentTime;
    const isAtEnd = this.#next >= this.#segments.count;
    if (isAtEnd && this.#source.readyState === "open") this.#source.endOfStream();
    if (isAtEnd || this.#reached(at) - at >= this.#goal) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
      return;
    }
    try {
      await this.#load(this.#next);
      await this.#trim(this.#player.currentTime, BEHIND + SLACK);
    } catch (error) {
      if (!this.#loading.signal.aborted || !this.#isOpen) throw error;
      this.#loading = new AbortController();
      if (this.#source.readyState === "open") this.#buffer.abort(); // a part of a segment
    }
  }

  get #goal() {
    const { paused, played, playbackRate } = this.#player;
    if (paused && !played.length) return AHEAD_AT_REST;
    return this.#ahead * Math.min(MAX_RATE, Math.max(1, playbackRate));
  }

  async #load(number) {
    const last = this.#segments.at(this.#segments.time(number) + RUN);
    const [begin, end] = [this.#segments.bytes(number)[0], this.#segments.bytes(last)[1]];
    const parts = readRange(this.#film.url, begin, end, this.#loading.signal);
    for await (const part of parts) await this.#append(part);
    this.#next = last + 1;
    // Sound may stand a little before its picture: then it is in the segment before.
    const isMissing = Number.isNaN(this.#bufferedEnd(this.#player.currentTime));
    const target = this.#segments.at(this.#player.currentTime);
    if (isMissing && this.#first === target && target > 0) {
      this.#next = this.#first = target - 1;
    }
  }

  async #append(bytes) {
    for (;;) {
      this.#loading.signal.throwIfAborted();
      try {
        this.#buffer.appendBuffer(bytes);
        break;
      } catch (error) {
        if (error.name !== "QuotaExceededError") throw error;
        await this.#makeRoom();
      }
    }
    await next(this.#buffer, "updateend");
  }

  async #makeRoom() {
    this.#ahead = Math.max(MIN_AHEAD, this.#ahead / 2);
    if (await this.#trim(this.#player.currentTime, MIN_AHEAD)) return;
    await new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Remove what is far from a position, and what begins `behind` seconds before it; return whether any was. */
  async #trim(at, behind) {
    const { buffered } = this.#buffer;
    if (!buffered.length) return false;
    const isOld = buffered.start(0) < at - behind;
    const isFar = buffered.end(buffered.length - 1) > at + MAX_RATE * AHEAD + SLACK;
    if (isOld) await this.#remove(0, at - Math.min(behind, BEHIND));
    if (isFar) await this.#remove(at + MAX_RATE * AHEAD, Number.POSITIVE_INFINITY);
    return isOld || isFar;
  }

  async #remove(start, end) {
    this.#buffer.remove(start, end);
    await next(this.#buffer, "updateend");
  }

  #onEvent = ({ type }) => {
    if (type === "seeking") this.#noticeSeek(this.#player.currentTime);
    this.#wake();
  };

  #noticeSeek(at) {
    const end = this.#bufferedEnd(at);
    if (end >= this.#segments.time(this.#next) - 1 && at < this.#segments.time(this.#next)) return;
    this.#hasSought = true;
    if (Number.isNaN(end)) this.#loading.abort();
  }

  #follow() {
    this.#hasSought = false;
    const at = this.#player.currentTime;
    const end = this.#bufferedEnd(at);
    this.#next = this.#first = this.#segments.at(Number.isNaN(end) ? at : end);
  }

  /**
   * Return up to where the film is loaded, in seconds. If the position itself is not loaded, that is
   * where the next segment begins: more segments after it would not help.
   */
  #reached(at) {
    const end = this.#bufferedEnd(at);
    return Number.isNaN(end) ? this.#segments.time(this.#next) : end;
  }

  /** Return the end of the loaded part around a position, in seconds; NaN if there is none. */
  #bufferedEnd(at) {
    const { buffered } = this.#buffer;
    for (let number = 0; number < buffered.length; number += 1) {
      if (buffered.start(number) <= at && at < buffered.end(number)) return buffered.end(number);
    }
    return Number.NaN;
  }

  /** Report an error of the network to the player, unless it has one. */
  #fail() {
    if (!this.#isOpen) return;
    if (this.#source.readyState === "ended") this.#buffer.appendBuffer(new Uint8Array()); // opens it
    const end = () => this.#source.endOfStream("network");
    if (this.#buffer?.updating) this.#buffer.addEventListener("updateend", end, { once: true });
    else end();
  }

  #stop() {
    this.#loading.abort();
    for (const type of EVENTS) this.#player.removeEventListener(type, this.#onEvent);
    this.#wake();
  }
}
