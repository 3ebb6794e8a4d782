// Reports failures of the player to recovery, and carries out what it decides.

import { EVENTS } from "./recovery.js";
import { isMadeMp4 } from "./remuxing.js";
import { useNewRevision } from "./revision.js";

const CHECK_INTERVAL = 2500; // milliseconds

export function watchFailures(player, playback, recovery, streaming, verdict) {
  for (const type of EVENTS) player.addEventListener(type, () => recovery.report(type));
  // A player that is to play on has recovered only when it plays.
  player.addEventListener("loadedmetadata", () => playback.playing || recovery.recovered());
  // Error events do not bubble, and that of a failed source is dispatched on <source>: both are
  // captured. A failed track does not stop the video.
  const onError = ({ target }) => {
    if (target.localName === "track") return;
    if (streaming.hasGivenUp) recovery.reload();
    else recovery.failed();
  };
  player.addEventListener("error", onError, true);
  // Dispatched where the browser finds encrypted data. There is no key here.
  player.addEventListener("encrypted", () => {
    verdict.encrypted();
    recovery.refuse();
  });
  setInterval(() => recovery.check(), CHECK_INTERVAL);
  const wake = () => document.visibilityState === "visible" && recovery.wake();
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);

  recovery.addEventListener("change", ({ state, reason }) => {
    playback.frozen = recovery.active;
    if (state === "unplayable" && !reason) verdict.show();
  });
  recovery.addEventListener("load", ({ url }) => {
    if (!streaming.begin()) playback.load(url);
  });
  recovery.addEventListener("replaced", ({ video }) => {
    // The clock of an MP4 that the server makes begins at 0.
    const start = isMadeMp4(video) ? 0 : (video.metadata?.start ?? 0);
    playback.replaceFile(start, video.metadata?.duration ?? 0, video.media_type);
    streaming.offer(video.fragments);
    useNewRevision(player, video);
  });

  verdict.addEventListener("override", () => {
    if (!recovery.hasFailed) {
      playback.play();
      return;
    }
    verdict.doubt();
    recovery.tryAnyway();
  });
}
