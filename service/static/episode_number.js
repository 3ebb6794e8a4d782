// The numbers of episodes as the server writes them: `episode_number` in listing/parsed_titles.py.

/** Return the number of an episode; `special` is the form of specials, as "Special {number}". */
export function episodeNumber({ season, episodes, aired }, special) {
  if (!episodes.length) return aired ?? "";
  const [first, last] = [episodes[0], episodes.at(-1)];
  const isRun = first < last && last - first === episodes.length - 1;
  const numbers = isRun ? `${first}–${last}` : episodes.join(", ");
  if (season === 0) return special.replace("{number}", () => numbers);
  return season === null ? `E${numbers}` : `S${season} E${numbers}`;
}
