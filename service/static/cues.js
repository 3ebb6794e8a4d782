// Moves the cues of text tracks to the browser's clock: their files are in time on the page.

const LOADED = 2; // HTML §4.8.11.11.1: HTMLTrackElement.LOADED

export function startCues(player, timeline, signal) {
  const moved = new WeakSet(); // <track> elements
  const move = () => {
    if (!timeline.known) return;
    for (const element of player.querySelectorAll("track")) {
      const { cues } = element.track; // null while the track is disabled
      if (element.readyState !== LOADED || !cues || moved.has(element)) continue;
      moved.add(element);
      moveBy(timeline.inPlayer(0), cues);
    }
  };
  player.addEventListener("load", move, { capture: true, signal }); // it does not bubble
  player.textTracks.addEventListener("change", move, { signal });
  timeline.addEventListener("known", move);
  move();
}

function moveBy(seconds, cues) {
  if (!seconds) return;
  for (const cue of [...cues]) {
    cue.endTime += seconds;
    cue.startTime += seconds;
  }
}
