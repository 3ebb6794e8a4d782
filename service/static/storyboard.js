// The thumbnails of a film, as the service's WebVTT lists them: a part of a sheet for each time.

const TIMING = /^([\d:.]+) --> ([\d:.]+)$/;
const TILE = /^(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/; // Media Fragments URI 1.0 §4.2.2

/** Return seconds of a WebVTT timestamp. */
const secondsOf = (timestamp) =>
  timestamp.split(":").reduce((seconds, part) => 60 * seconds + Number(part), 0);

/** Return the tiles in order of time: `{start, sheet, x, y, width, height}`. */
export function parseStoryboard(text) {
  const tiles = [];
  let start = 0;
  for (const line of text.split("\n")) {
    const [timing, tile] = [TIMING.exec(line), TILE.exec(line)];
    if (timing) start = secondsOf(timing[1]);
    if (!tile) continue;
    const [x, y, width, height] = tile.slice(2).map(Number);
    tiles.push({ start, sheet: tile[1], x, y, width, height });
  }
  return tiles;
}

/** Return the last of some items with a `start` at or before a second, or null. */
export function lastStarted(items, second) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start <= second + 0.001) low = middle + 1;
    else high = middle;
  }
  return items[low - 1] ?? null;
}

/** Return the tiles at a URL, or none if they cannot be had. */
export async function fetchStoryboard(url, signal) {
  try {
    const response = await fetch(url, { signal });
    return response.ok ? parseStoryboard(await response.text()) : [];
  } catch {
    return [];
  }
}
