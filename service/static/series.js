// The page of a series: marks what was seen, and leads to the episode where the viewer stopped.
// Without this module the button plays the first episode.

import { episodeNumber } from "./episode_number.js";
import { playOnClick } from "./handover.js";
import { markCards, startSweeps } from "./marks.js";
import { apiUrl, videoPathOf } from "./paths.js";
import { followHistory, inProgress, readSeen, saveSeen } from "./seen.js";

const play = document.querySelector("[data-play]");
const season = document.querySelector("[data-season-seen]");
const label = play.textContent;
const firstUrl = play.getAttribute("href");

/** Return `[path, time, isSeen]` of the episodes that were begun or seen, newest first. */
function watched() {
  const prefixes = JSON.parse(play.dataset.prefixes);
  const begun = inProgress().map(([path, [, , time]]) => [path, time, false]);
  const seen = Object.entries(readSeen()).map(([path, time]) => [path, time, true]);
  return [...begun, ...seen]
    .filter(([path]) => prefixes.some((prefix) => path.startsWith(prefix)))
    .sort(([, one], [, other]) => other - one);
}

/** Return the episode to go on with, as JSON, or null. It may be of another season. */
async function nextToWatch() {
  for (const [path, , isSeen] of watched()) {
    const response = await fetch(apiUrl(isSeen ? "next" : "videos", path));
    if (response.status === 404) continue; // the file is gone
    const answer = await response.json();
    return isSeen ? answer.video : answer; // null after the last one
  }
  return null;
}

/** The paths of the episodes on this page, in order. */
const listed = Array.from(document.querySelectorAll(".episode h3 a"), ({ href }) =>
  videoPathOf(href),
);

function startSeasonButton() {
  season.hidden = false;
  season.addEventListener("click", () => {
    saveSeen(season.getAttribute("aria-pressed") !== "true", ...listed);
    document.dispatchEvent(new Event("seenchange"));
  });
}

async function show() {
  markCards(document);
  const seen = readSeen();
  season.setAttribute("aria-pressed", String(listed.every((path) => path in seen)));
  const video = await nextToWatch().catch(() => null);
  play.href = video?.watch_url ?? firstUrl;
  const number = video && episodeNumber(video.metadata.parsed_name, play.dataset.special);
  play.textContent = video ? play.dataset.continue.replace("{number}", () => number) : label;
}

playOnClick();
startSeasonButton();
followHistory(show);
startSweeps();
show();
