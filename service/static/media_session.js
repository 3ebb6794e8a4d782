// Tells the system what plays, for lock screens, headsets and media keys, and does what they ask.

import { find, listen, player, stage } from "./page.js";

const STEP = 10; // seconds, where the system names none
const session = navigator.mediaSession;

export function startMediaSession(playback, navigation, signal) {
  if (!session) return;
  const { title, artist = "", artwork = "[]" } = stage.dataset;
  session.metadata = new MediaMetadata({ title, artist, artwork: JSON.parse(artwork) });
  setActions(actionsOf(playback, navigation));
  const showPosition = () => setPosition(playback);
  const types = ["loadedmetadata", "durationchange", "ratechange", "seeked", "play", "pause"];
  listen(player, types, showPosition, signal);
  playback.addEventListener("ready", showPosition);
}

function actionsOf(playback, navigation) {
  const by = (sign) => (details) =>
    playback.seek(playback.now + sign * (details.seekOffset || STEP));
  const [previous, next] = [find("[data-prev]"), find("[data-next]")];
  return {
    play: () => playback.play(),
    pause: () => playback.pause(),
    seekbackward: by(-1),
    seekforward: by(1),
    seekto: ({ seekTime }) => playback.seek(seekTime),
    previoustrack: previous && (() => navigation.open(previous)),
    nexttrack: next && (() => navigation.open(next)),
  };
}

function setActions(actions) {
  for (const [action, act] of Object.entries(actions)) {
    try {
      session.setActionHandler(action, act);
    } catch {
      // This browser does not know the action.
    }
  }
}

function setPosition({ known, duration, now }) {
  if (!known || !duration) return;
  const { playbackRate } = player;
  session.setPositionState?.({ duration, playbackRate, position: Math.min(now, duration) });
}
