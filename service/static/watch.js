// What browsers lack around a player: controls with thumbnails, a filmstrip, going on where the
// viewer stopped, the next video without leaving, links to a moment, keys, recovery from failures.
// The page works without this module; the module works in the embedded player, which lacks most of
// these elements. All texts are in the page.

import { showRecovery } from "./banner.js";
import { startCaptions } from "./captions.js";
import { startControls } from "./controls.js";
import { startCues } from "./cues.js";
import { watchFailures } from "./failures.js";
import { startFilmstrip } from "./filmstrip_fold.js";
import { isAskedToPlay } from "./handover.js";
import { startKeys } from "./keys.js";
import { startMediaSession } from "./media_session.js";
import { startChapters } from "./moments.js";
import { Navigation } from "./navigation.js";
import { find, player, stage } from "./page.js";
import { Playback } from "./playback.js";
import { startProgress } from "./progress.js";
import { Recovery } from "./recovery.js";
import { awaitMp4 } from "./remuxing.js";
import { startSeenMarks } from "./seen_marks.js";
import { fetchVideo, statusOf } from "./server.js";
import { startShare } from "./share.js";
import { Sounds } from "./sounds.js";
import { watchConnection } from "./slow_link.js";
import { startSpeed } from "./speed.js";
import { Streaming } from "./streaming.js";
import { startTheatre } from "./theatre.js";
import { Timeline } from "./timeline.js";
import { showToast } from "./toast.js";
import { startUpNext } from "./upnext.js";
import { Verdict } from "./verdict.js";
import { startViewingReports } from "./viewing_reports.js";
import { startVolume } from "./volume.js";

let visit; // aborted when the page goes to another video
const navigation = new Navigation(
  () => visit.abort(),
  (play) => start({ isFirst: false, play }),
);

function start({ isFirst, play }) {
  visit = new AbortController();
  const { signal } = visit;
  const { start, clockStart, duration, fragments, seekable } = stage.dataset;
  const timeline = new Timeline(Number(clockStart) || 0, Number(duration) || 0);
  const playback = new Playback(player, Number(start) || 0, timeline, signal);
  const streaming = new Streaming(player, playback);
  const verdict = new Verdict(signal);
  const sounds = new Sounds(signal);
  const { first } = sounds;
  const askVideo = async () => sounds.of(await fetchVideo(stage.dataset.api));
  const server = { statusOf, fetchVideo: askVideo };
  const source = player.querySelector("source");
  if (first) source.src = first.url;
  const url = source.src;
  const recovery = new Recovery(player, url, server, verdict);

  watchFailures(player, playback, recovery, streaming, verdict, signal);
  // A click on a card has opened the page: performance.now() counts from there.
  const asked = isFirst ? 0 : performance.now() / 1000;
  startViewingReports(playback, recovery, play ? asked : undefined, signal);
  startControls(playback, signal);
  recovery.offerSeekable(first ? first.seekable_url : seekable);
  streaming.offer(first ? first.fragments : JSON.parse(fragments ?? "null"));
  const streams = streaming.begin();
  if (!streams) player.preload = "metadata"; // see _player.html
  if (!streams && (first || !isFirst)) playback.load(url);
  showRecovery(playback, recovery);
  startUpNext(playback, navigation, signal);
  startProgress(playback, signal);
  startSeenMarks();
  startFilmstrip(playback, signal);
  startChapters(find("[data-chapters]"), playback);
  startCues(player, timeline, signal);
  startCaptions(signal);
  startVolume(signal);
  watchConnection(playback, signal);
  startSpeed(playback, signal);
  startTheatre();
  startShare(playback);
  startKeys(playback, navigation, sounds, signal);
  sounds.start(recovery);
  startMediaSession(playback, navigation, signal);
  awaitMp4(stage, playback, recovery, verdict, server, find("[data-sound-notice]"), signal);
  verdict.check();
  if (!isFirst) showToast("nowPlaying", stage.dataset.title);
  if (play) playback.addEventListener("ready", () => playback.play());
  playback.begin();
  if (!streams && isFirst && recovery.hasFailed) recovery.failed(); // before this module ran
}

start({ isFirst: true, play: isAskedToPlay(stage.dataset.path) });
