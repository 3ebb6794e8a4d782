// Replaces what the page has of a video's old revision, but for its source.

/** `video` is the JSON of the new revision. */
export function useNewRevision(player, video) {
  replaceTracks(player, video.captions.tracks);
  for (const link of document.querySelectorAll("a[download]")) link.href = video.download_url;
}

function replaceTracks(player, tracks) {
  const nameOf = ({ kind, srclang, label }) => `${kind} ${srclang} ${label}`;
  const old = [...player.querySelectorAll("track")];
  const shown = old.find((element) => element.track.mode === "showing");
  const elements = tracks.map(trackElement);
  for (const element of old) element.remove();
  player.append(...elements);
  const same = shown && elements.find((element) => nameOf(element) === nameOf(shown));
  if (same) same.track.mode = "showing";
}

function trackElement({ url, kind, label, language }) {
  const element = document.createElement("track");
  element.src = url;
  element.kind = kind;
  element.label = label;
  if (language) element.srclang = language;
  return element;
}
