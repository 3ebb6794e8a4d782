// Reports failures of the player to recovery, and carries out what it decides.

import { listen } from "./page.js";
import { EVENTS } from "./recovery.js";
import { isMadeMp4 } from "./remuxing.js";
import { useNewRevision } from "./revision.js";

const CHECK_INTERVAL = 2500; // milliseconds

export function watchFailures(player, playback, recovery, streaming, verdict, signal) {
  listen(player, EVENTS, ({ type }) => recovery.report(type), signal);
  // A player that is to play on has recovered only when it plays.
  const onMetadata = () => playback.playing || recovery.recovered();
  player.addEventListener("loadedmetadata", onMetadata, { signal });
  // Error events do not bubble, and that of a failed source is dispatched on <source>: both are
  // captured. A failed track does not stop the video.
  const onError = ({ target }) => {
    if (target.localName === "track") return;
    if (recovery.useSeekable()) return;
    if (streaming.hasGivenUp) recovery.reload();
    else recovery.failed();
  };
  player.addEventListener("error", onError, { capture: true, signal });
  // Dispatched where the browser finds encrypted data. There is no key here.
  const onEncrypted = () => {
    verdict.encrypted();
    recovery.refuse();
  };
  player.addEventListener("encrypted", onEncrypted, { signal });
  const checks = setInterval(() => recovery.check(), CHECK_INTERVAL);
  signal.addEventListener("abort", () => {
    clearInterval(checks);
    recovery.stop();
  });
  const wake = () => document.visibilityState === "visible" && recovery.wake();
  addEventListener("online", wake, { signal });
  document.addEventListener("visibilitychange", wake, { signal });

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
    recovery.offerSeekable(video.seekable_url);
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
