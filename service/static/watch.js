// What browsers lack around a player: a filmstrip, going on where the viewer stopped, links to a
// moment, keys, recovery from failures. The page works without this module; the module works in the
// embedded player, which lacks most of these elements. All texts are in the page.

import { showRecovery } from "./banner.js";
import { startCues } from "./cues.js";
import { watchFailures } from "./failures.js";
import { startFilmstrip } from "./filmstrip.js";
import { startKeys } from "./keys.js";
import { startChapters } from "./moments.js";
import { find, player, stage } from "./page.js";
import { Playback } from "./playback.js";
import { startProgress } from "./progress.js";
import { Recovery } from "./recovery.js";
import { awaitMp4 } from "./remuxing.js";
import { fetchVideo, statusOf } from "./server.js";
import { startShare } from "./share.js";
import { startSpeed } from "./speed.js";
import { Streaming } from "./streaming.js";
import { startTheatre } from "./theatre.js";
import { startUpNext } from "./upnext.js";
import { Timeline } from "./timeline.js";
import { Verdict } from "./verdict.js";

const { start, clockStart, duration, fragments } = stage.dataset;
const timeline = new Timeline(Number(clockStart) || 0, Number(duration) || 0);
const playback = new Playback(player, Number(start) || 0, timeline);
const streaming = new Streaming(player, playback);
const verdict = new Verdict();
const server = { statusOf, fetchVideo: () => fetchVideo(stage.dataset.api) };
const recovery = new Recovery(player, player.querySelector("source").src, server, verdict);

watchFailures(player, playback, recovery, streaming, verdict);
streaming.offer(fragments ? JSON.parse(fragments) : null);
const streams = streaming.begin();
if (!streams) player.preload = "metadata"; // see _player.html
showRecovery(playback, recovery);
startUpNext(playback);
startProgress(playback);
startFilmstrip(find("[data-filmstrip]"), playback);
startChapters(find("[data-chapters]"), playback);
startCues(player, timeline);
startSpeed(playback);
startTheatre();
startShare(playback);
startKeys(playback);
awaitMp4(stage, playback, recovery, verdict, server, find("[data-sound-notice]"));
verdict.check();
playback.begin();
if (!streams && recovery.hasFailed) recovery.failed(); // before this module ran
