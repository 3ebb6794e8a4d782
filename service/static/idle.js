// Hides the controls while a film plays and its viewer does nothing.

import { listen, player, stage } from "./page.js";

const SHOWN_FOR = 3000; // milliseconds
const SIGNS = ["pointermove", "pointerdown", "focusin"];

export class Idle {
  #controls;
  #timer;

  constructor(controls, signal) {
    this.#controls = controls;
    const wake = () => this.wake();
    const onSign = ({ type, pointerType }) => {
      // A tap on the picture is a click of its own: see play_buttons.js.
      if (pointerType !== "touch" || type === "pointermove") wake();
    };
    listen(stage, SIGNS, onSign, signal);
    controls.addEventListener("pointerdown", wake);
    document.addEventListener("keydown", wake, { signal });
    stage.addEventListener("pointerleave", () => this.rest(), { signal });
    listen(player, ["play", "pause", "ended", "emptied"], wake, signal);
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
    this.wake();
  }

  get isIdle() {
    return stage.hasAttribute("data-idle");
  }

  /** Show the controls for a while. */
  wake() {
    clearTimeout(this.#timer);
    if (this.isIdle) {
      stage.removeAttribute("data-idle");
      this.#dispatch();
    }
    this.#timer = setTimeout(() => this.rest(), SHOWN_FOR);
  }

  /** Hide the controls, unless they are in use. */
  rest() {
    clearTimeout(this.#timer);
    if (player.paused || player.localName === "audio" || this.#isInUse) return;
    if (this.isIdle) return;
    stage.setAttribute("data-idle", "");
    this.#dispatch();
  }

  get #isInUse() {
    return Boolean(
      stage.querySelector("[popover]:popover-open") || this.#controls.matches(":active"),
    );
  }

  #dispatch() {
    stage.dispatchEvent(new Event("idlechange"));
  }
}
