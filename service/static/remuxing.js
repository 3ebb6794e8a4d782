// Loads the film as MP4 once the server has made the header for it, and again once it has made sound
// for it. Until then the page has the file as it is, which not every browser plays or lets be heard.

import { find, showText } from "./page.js";

const [FIRST_DELAY, MAX_DELAY] = [1000, 30_000]; // milliseconds
const PROGRESS_DELAY = 3000; // milliseconds between questions how far it is

const DUE = new Set(["waiting", "possible"]); // states of what is still to be made
const MP4 = new Set(["remuxed", "with_sound", "copied"]);

/** Return whether the server sends an MP4 that it makes of the file, by the JSON of the video. */
export function isMadeMp4(video) {
  return MP4.has(video.representation);
}

/**
 * Ask the server until the film can be had as MP4, and with sound. A film that plays already
 * stays as it is; one without sound is loaded again wherever it is. `notice` is where the page says how far the
 * sound is, if it is to be made.
 */
export function awaitMp4(stage, playback, recovery, verdict, server, notice, signal) {
  const isMaking = { mp4: "remuxing" in stage.dataset, sound: "makingSound" in stage.dataset };
  if (!isMaking.mp4 && !isMaking.sound) return;
  let delay = FIRST_DELAY;
  const isNeeded = () => !playback.interacted || recovery.active;

  async function ask() {
    if (!isMaking.sound && !isNeeded()) return;
    const video = await server.fetchVideo();
    if (signal.aborted) return;
    if (video) consider(video);
    if (!isMaking.mp4 && !isMaking.sound) return;
    const isWatched = isMaking.sound || find("[data-making]");
    delay = Math.min(2 * delay, isWatched ? PROGRESS_DELAY : MAX_DELAY);
    timer = setTimeout(ask, delay);
  }

  function consider(video) {
    const isWaiting = [video.remux, video.copied].some(({ state }) => state === "waiting");
    const hasMp4 = isMaking.mp4 && !isWaiting;
    showCopy(find("[data-making]"), video.copied);
    const hasSound = isMaking.sound && !DUE.has(video.sound.state);
    if (hasMp4) isMaking.mp4 = false;
    if (hasSound) isMaking.sound = false;
    showSound(notice, isMaking.sound ? video.sound : null);
    const isBetter = video.representation === "with_sound" ? hasSound : hasMp4 && isNeeded();
    if (!isBetter || !isMadeMp4(video)) return;
    if (video.representation === "with_sound") isMaking.mp4 = false;
    verdict.acceptMp4(video);
    recovery.adopt(video);
  }

  if (isMaking.sound) showSound(notice, {});
  let timer = setTimeout(ask, delay);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** Show how far the sound is; null if it is not being made. */
function showSound(notice, sound) {
  if (!notice) return;
  const { waiting, progress } = notice.dataset;
  const percent = Math.floor(100 * (sound?.progress ?? 0));
  const text = percent ? progress.replace("{}", percent) : waiting;
  notice.textContent = sound ? text : "";
}

/** Show how far the copy of the film is, or why there is none. `notice` is where it may be asked for. */
function showCopy(notice, { state, progress, problem, declined }) {
  if (!notice) return;
  const { at, failed } = notice.dataset;
  const status = notice.querySelector("[role=status]");
  if (state === "ready") notice.remove();
  else if (state === "waiting" && progress !== null) {
    status.textContent = at.replace("{}", Math.floor(100 * progress));
  } else if (state !== "waiting") showText(status, failed, problem ?? declined);
}
