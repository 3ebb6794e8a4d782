// Loads the film as MP4 once the server has made the header for it. Until then the page has the file
// as it is, which not every browser plays.

const [FIRST_DELAY, MAX_DELAY] = [1000, 30_000]; // milliseconds

/** Ask the server until the film can be had as MP4. One that plays as it is is left alone. */
export function awaitMp4(stage, playback, recovery, verdict, server) {
  if (!("remuxing" in stage.dataset)) return;
  let delay = FIRST_DELAY;
  const isNeeded = () => !playback.interacted || recovery.active;

  async function ask() {
    if (!isNeeded()) return;
    const video = await server.fetchVideo();
    if (video && video.remux.state !== "waiting") {
      if (video.representation !== "remuxed" || !isNeeded()) return;
      verdict.acceptContainer();
      recovery.adopt(video);
    } else {
      delay = Math.min(2 * delay, MAX_DELAY);
      setTimeout(ask, delay);
    }
  }

  setTimeout(ask, delay);
}
