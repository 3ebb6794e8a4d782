// Plays a long film in segments, where the server offers that and the browser can. If it fails, the
// player gets the film as it is otherwise loaded.

import { canStream, SegmentStream } from "./stream.js";

const MEDIA_ERR_NETWORK = 2; // HTML §4.8.11.1

export class Streaming {
  #player;
  #playback;
  #film = null;
  #isActive = false;

  constructor(player, playback) {
    this.#player = player;
    this.#playback = playback;
  }

  /** Use what the JSON of a video says of its fragments, the next time that the player loads. */
  offer(fragments) {
    this.#film = canStream(fragments) ? fragments : null;
  }

  /** Have the player load segments; return whether it does. What has failed is not tried again. */
  begin() {
    const film = this.#film;
    this.#film = null;
    this.#isActive = film !== null;
    if (film) this.#playback.stream(new SegmentStream(this.#player, film).url);
    return this.#isActive;
  }

  /** Whether the player has failed with segments, and not the connection. */
  get hasGivenUp() {
    return this.#isActive && this.#player.error?.code !== MEDIA_ERR_NETWORK;
  }
}
