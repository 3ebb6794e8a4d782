import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { querySelector: () => null };
const { WaitingTime } = await import("./slow_link.js");

test("waiting for ten seconds is too long, in one piece or in several", () => {
  const one = new WaitingTime();
  one.begin(5);
  assert.equal(one.isTooLong(14.9), false);
  assert.equal(one.isTooLong(15), true);

  const several = new WaitingTime();
  for (const second of [0, 10, 20]) {
    several.begin(second);
    several.end(second + 3);
  }
  assert.equal(several.isTooLong(25), false);
  several.begin(30);
  assert.equal(several.isTooLong(31), true);
});

test("what was waited more than a minute ago does not count", () => {
  const waiting = new WaitingTime();
  waiting.begin(0);
  waiting.end(9);
  waiting.begin(65);
  assert.equal(waiting.isTooLong(70), false); // four seconds before, five now
});

test("a seek begins anew, and an end without a beginning is ignored", () => {
  const waiting = new WaitingTime();
  waiting.begin(0);
  waiting.reset();
  waiting.end(30);
  assert.equal(waiting.isTooLong(30), false);
});
