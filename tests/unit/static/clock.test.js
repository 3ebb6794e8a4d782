import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTime } from "./clock.js";

for (const [seconds, text] of [
  [0, "0:00"],
  [9.4, "0:09"],
  [59.5, "1:00"],
  [61, "1:01"],
  [3599, "59:59"],
  [3600, "1:00:00"],
  [36_061, "10:01:01"],
]) {
  test(`${seconds} seconds are ${text}`, () => assert.equal(formatTime(seconds), text));
}
