// The filmstrip: frames to jump by, which follow the playback.

import { Moments, timeOf } from "./moments.js";
import { Preview } from "./preview.js";

const FOLLOW_AFTER = 4000; // milliseconds for which the strip stays where the viewer has put it
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Filmstrip {
  #element;
  #strip;
  #playback;
  #moments;
  #frames;
  #preview;
  #scrolledAt = Number.NEGATIVE_INFINITY; // by the viewer
  #followTimer;

  constructor(element, playback) {
    this.#element = element;
    this.#strip = element.querySelector(".strip");
    this.#playback = playback;
    this.#moments = new Moments(this.#strip, playback);
    this.#frames = this.#moments.links;
    this.#preview = new Preview(element);
    this.#setRovingTabindex(this.#moments.at(playback.position) ?? this.#frames[0]);
    playback.addEventListener("position", () => this.#update());
    this.#update();
    playback.addEventListener("seek", () => {
      if (!this.#hasFocus) this.#scrolledAt = Number.NEGATIVE_INFINITY; // the strip goes along
    });
    this.#listenForPreview();
    for (const type of ["wheel", "pointerdown", "touchmove"]) {
      const onScroll = () => (this.#scrolledAt = performance.now());
      this.#strip.addEventListener(type, onScroll, { passive: true });
    }
    element.addEventListener("keydown", (event) => this.#handleKey(event));
  }

  get #hasFocus() {
    return this.#element.contains(document.activeElement);
  }

  #listenForPreview() {
    const [strip, preview] = [this.#strip, this.#preview];
    strip.addEventListener("pointerover", ({ target, pointerType }) => {
      const frame = target.closest("a[data-t]");
      if (frame && pointerType !== "touch") preview.show(frame);
    });
    strip.addEventListener("focusin", ({ target }) => {
      const frame = target.closest("a[data-t]");
      this.#setRovingTabindex(frame ?? this.#frames[0]);
      if (frame && target.matches(":focus-visible")) preview.show(frame);
    });
    // The frames have moved away under the pointer, but a frame with the focus may be in view.
    strip.addEventListener("scroll", () => {
      const frame = strip.querySelector("a:focus-visible");
      if (frame && preview.shown && this.#isInView(frame)) preview.show(frame);
      else preview.hide();
    });
    this.#element.addEventListener("pointerleave", () => preview.hide());
    strip.addEventListener("focusout", () => preview.hide());
  }

  #update() {
    const { position, duration, interacted } = this.#playback;
    if (!interacted && !position) return; // nothing is current before anything plays
    const isAnother = this.#moments.mark(position);
    const frame = this.#moments.current;
    if (!frame) return;
    const next = this.#frames[this.#frames.indexOf(frame) + 1];
    const start = timeOf(frame);
    const end = next ? timeOf(next) : duration || start + 1;
    const part = Math.min(1, (position - start) / Math.max(end - start, 0.001));
    frame.style.setProperty("--part", part.toFixed(3));
    if (!isAnother) return;
    if (!this.#hasFocus) this.#setRovingTabindex(frame);
    this.#follow();
  }

  // Keep the current frame in view, unless the viewer looks at others.
  #follow() {
    clearTimeout(this.#followTimer);
    const isRead = this.#element.matches(":hover, :focus-within");
    if (isRead || performance.now() - this.#scrolledAt < FOLLOW_AFTER) {
      this.#followTimer = setTimeout(() => this.#follow(), FOLLOW_AFTER);
    } else {
      this.#center(this.#moments.current, reducedMotion.matches ? "instant" : "smooth");
    }
  }

  // The strip alone is scrolled: the page stays where its reader is.
  #center(frame, behavior) {
    const [outer, inner] = [this.#strip, frame].map((box) => box.getBoundingClientRect());
    const left = inner.left + inner.width / 2 - outer.left - outer.width / 2;
    this.#strip.scrollBy({ left, behavior });
  }

  #isInView(frame) {
    const [outer, inner] = [this.#strip, frame].map((box) => box.getBoundingClientRect());
    return inner.left >= outer.left - 1 && inner.right <= outer.right + 1; // parts of a pixel
  }

  // All frames are one stop of the Tab key; arrows go from one to the next.
  #setRovingTabindex(frame) {
    for (const other of this.#frames) other.tabIndex = other === frame ? 0 : -1;
  }

  #handleKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") this.#preview.hide();
    const backwards = getComputedStyle(this.#strip).direction === "rtl";
    const index = this.#frames.indexOf(event.target);
    const target = {
      ArrowLeft: index + (backwards ? 1 : -1),
      ArrowRight: index + (backwards ? -1 : 1),
      Home: 0,
      End: this.#frames.length - 1,
    }[event.key];
    if (index < 0 || target === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // here arrows do not seek
    this.#scrolledAt = performance.now();
    const frame = this.#frames[target];
    frame?.focus({ preventScroll: true });
    if (frame && !this.#isInView(frame)) this.#center(frame, "instant");
  }
}
