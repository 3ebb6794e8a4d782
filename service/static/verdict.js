// Whether this browser can play the video, shown before the viewer presses play.

import { find, player, setOverlay, stage } from "./page.js";

// The stream that a finding is about, by its code.
const STREAMS = {
  audio_codec: "audio",
  video_codec: "video",
  pixel_format: "video",
  sample_entry: "video",
};

/** Dispatches `override` when the viewer wants to try what is said not to play. */
export class Verdict extends EventTarget {
  /** Whether the browser decodes the stream; undefined if it is not known. */
  #decodes = { video: undefined, audio: undefined };
  /** Why no browser plays the file, whatever it decodes; undefined if some may. */
  #never;
  #overlay = find("[data-unplayable]");

  constructor(signal) {
    super();
    const overlay = this.#overlay;
    this.#never = overlay.dataset.never;
    // Chromium dispatches `playing` also when it then waits for a key.
    let from = 0;
    const onPlaying = () => {
      from = player.currentTime;
    };
    const onTime = () => {
      const plays = !player.ended && player.currentTime > from + 0.2;
      if (plays && !overlay.hidden) setOverlay(overlay, false);
    };
    player.addEventListener("playing", onPlaying, { signal });
    player.addEventListener("timeupdate", onTime, { signal });
    overlay.querySelector("[data-play-anyway]").addEventListener("click", () => {
      setOverlay(overlay, false);
      this.dispatchEvent(new Event("override"));
    });
    overlay.querySelector(".unplayable-fix")?.addEventListener("click", () => {
      find("#owner").open = true;
    });
  }

  get playable() {
    const { video, audio } = this.#decodes;
    if (this.#never) return false;
    return video !== false && !(audio === false && player.localName === "audio");
  }

  get decodable() {
    return this.#decodes.video === true || this.#decodes.audio === true;
  }

  /** Forget what the browser says about the picture: the viewer has seen more. */
  doubt() {
    this.#decodes.video = undefined;
  }

  /** Note that the film now comes as MP4, whose streams the JSON of the video describes. */
  acceptMp4({ representation, copied }) {
    const overlay = this.#overlay;
    delete overlay.dataset.container;
    const gone = ["container", "copyable"];
    if (representation === "copied") {
      gone.push("audio_codec");
      const [video, audio] = copied.codecs;
      if (video) overlay.dataset.video = `video/mp4; codecs="${video}"`;
      if (audio) overlay.dataset.audio = `audio/mp4; codecs="${audio}"`;
      find("[data-silent-notice]")?.replaceChildren();
    }
    for (const code of gone) {
      for (const told of document.querySelectorAll(`[data-code="${code}"]`)) told.remove();
    }
    setOverlay(overlay, false);
    if (representation === "copied") this.check();
  }

  /** Note that the browser has found the file to be encrypted. */
  encrypted() {
    this.#never ??= this.#overlay.dataset.encrypted;
  }

  /** Ask the browser about both streams, and show what it says. */
  async check() {
    const [video, audio] = await Promise.all([this.#asks("video"), this.#asks("audio")]);
    this.#decodes = { video, audio };
    const { container, ...texts } = this.#overlay.dataset;
    const told = find('.finding-unplayable[data-code="container"]');
    if (!this.playable || (container && !player.canPlayType(container))) this.show();
    else if (!told && worstFinding() && player.readyState === 0) this.show();
    if (audio === false && player.localName === "video") showSilent(texts);
    for (const finding of document.querySelectorAll(".finding")) {
      if (this.#decodes[STREAMS[finding.dataset.code]] === true) showFine(finding);
    }
  }

  #asks(kind) {
    return decodes(kind, this.#overlay.dataset);
  }

  /** Cover the screen with why the video does not play. */
  show() {
    const overlay = this.#overlay;
    if (!overlay.hidden) return;
    const texts = overlay.dataset;
    const finding = worstFinding() ?? (texts.container && find('.finding[data-code="container"]'));
    let text = finding?.querySelector("p").textContent ?? texts.nothing;
    if (this.#never) text = this.#never;
    else if (this.#decodes.video === false) text = texts.noPicture.replace("{}", texts.videoName);
    else if (this.#decodes.audio === false) text = texts.noSound.replace("{}", texts.audioName);
    setOverlay(overlay, true);
    overlay.querySelector("[role=status]").textContent = text;
  }
}

// By the service, no browser plays what has such a finding.
const worstFinding = () => find(".finding-unplayable");

function showSilent({ silent, audioName }) {
  const notice = find("[data-silent-notice]");
  if (notice) notice.textContent = silent.replace("{}", audioName);
}

function showFine(finding) {
  finding.classList.add("finding-fine");
  const fine = document.createElement("b");
  fine.textContent = finding.dataset.fine;
  finding.querySelector("p").prepend(fine, " ");
}

async function decodes(kind, { [kind]: contentType, width, height, bitRate }) {
  if (!contentType) return undefined;
  if (!player.canPlayType(contentType)) return false;
  const video = {
    contentType,
    width: Number(width) || 1280,
    height: Number(height) || 720,
    bitrate: Number(bitRate) || 1_000_000,
    framerate: Number(stage.dataset.frameRate) || 25,
  };
  const stream = kind === "video" ? { video } : { audio: { contentType } };
  try {
    return (await navigator.mediaCapabilities.decodingInfo({ type: "file", ...stream })).supported;
  } catch {
    return true; // as canPlayType has said
  }
}
