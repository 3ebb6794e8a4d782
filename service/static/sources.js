// What the player loads: the first of a video's sources that this browser accepts.

/** Return the URL that a browser takes by the JSON of a video. */
export function chooseUrl(media, { sources, media_url }) {
  const better = sources?.slice(0, -1).find(({ type }) => media.canPlayType(type));
  return better?.url ?? media_url;
}

/** Return what the player has loaded or will load, and what it takes if that fails, if anything. */
export function chooseElements(player) {
  const elements = [...player.querySelectorAll("source")];
  const isTaken = ({ src }) => src === player.currentSrc;
  const isAccepted = ({ type }) => player.canPlayType(type);
  const taken = elements.find(isTaken) ?? elements.find(isAccepted) ?? elements.at(-1);
  return { url: taken.src, fallback: elements[elements.indexOf(taken) + 1]?.src ?? null };
}
