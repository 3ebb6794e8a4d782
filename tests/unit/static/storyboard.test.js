import assert from "node:assert/strict";
import { test } from "node:test";
import { lastStarted, parseStoryboard } from "./storyboard.js";

const TEXT = `WEBVTT

00:00:00.000 --> 00:00:01.500
/storyboards/a%20b.mp4/0.webp?v=1#xywh=0,0,160,90

00:00:01.500 --> 01:00:02.250
/storyboards/a%20b.mp4/0.webp?v=1#xywh=160,0,160,90

01:00:02.250 --> 01:00:04.000
/storyboards/a%20b.mp4/1.webp?v=1#xywh=0,90,160,90
`;

test("a tile has its start, its sheet and its place there", () => {
  const sheets = ["/storyboards/a%20b.mp4/0.webp?v=1", "/storyboards/a%20b.mp4/1.webp?v=1"];
  const size = { width: 160, height: 90 };
  assert.deepEqual(parseStoryboard(TEXT), [
    { start: 0, sheet: sheets[0], x: 0, y: 0, ...size },
    { start: 1.5, sheet: sheets[0], x: 160, y: 0, ...size },
    { start: 3602.25, sheet: sheets[1], x: 0, y: 90, ...size },
  ]);
});

test("what is no storyboard has no tiles", () => {
  for (const text of ["", "<!DOCTYPE html>", "WEBVTT\n\n00:00.000 --> 00:01.000\ncaption"]) {
    assert.deepEqual(parseStoryboard(text), []);
  }
});

test("the item of a second is the last one that has started", () => {
  const items = [{ start: 0 }, { start: 1.5 }, { start: 4 }];
  const starts = [0, 1.49, 1.5, 3.9, 4, 99].map((second) => lastStarted(items, second).start);
  assert.deepEqual(starts, [0, 0, 1.5, 1.5, 4, 4]);
  assert.equal(lastStarted([{ start: 2 }], 1), null);
  assert.equal(lastStarted([], 1), null);
});
