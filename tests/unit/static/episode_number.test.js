import assert from "node:assert/strict";
import { test } from "node:test";
import { episodeNumber } from "./episode_number.js";

// The same as in tests/unit/listing/test_episode_numbers.py.
for (const [season, episodes, aired, expected] of [
  [1, [2], null, "S1 E2"],
  [1, [2, 3], null, "S1 E2–3"],
  [1, [2, 4], null, "S1 E2, 4"],
  [null, [3], null, "E3"],
  [null, [3, 4, 5], null, "E3–5"],
  [0, [1], null, "Special 1"],
  [0, [1, 2], null, "Special 1–2"],
  [null, [], "1994-05-01", "1994-05-01"],
]) {
  test(`the number of episode ${episodes} of season ${season} is ${expected}`, () => {
    assert.equal(episodeNumber({ season, episodes, aired }, "Special {number}"), expected);
  });
}
