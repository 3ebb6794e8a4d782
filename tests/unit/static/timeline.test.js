import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "./timeline.js";

test("a file that starts at 0 needs no conversion, and its duration is the browser's", () => {
  const timeline = new Timeline(0, 0);
  assert.equal(timeline.known, true);
  assert.equal(timeline.onPage(7), 7);
  assert.equal(timeline.inPlayer(7), 7);
  assert.equal(timeline.duration(16), 16);
  assert.equal(timeline.duration(Number.NaN), 0);
  assert.equal(timeline.duration(Number.POSITIVE_INFINITY), 0);
});

for (const start of [0.08, 2, 3600]) {
  test(`a browser that shows the file's clock from ${start} s is converted`, () => {
    const timeline = new Timeline(start, 16);
    assert.equal(timeline.known, false);
    timeline.observe(start);
    assert.equal(timeline.known, true);
    assert.equal(timeline.onPage(start + 5).toFixed(6), "5.000000");
    assert.equal(timeline.inPlayer(5), start + 5);
    assert.equal(timeline.duration(start + 16), 16);
  });

  test(`a browser that begins at 0 is not, where the file starts at ${start} s`, () => {
    const timeline = new Timeline(start, 16);
    timeline.observe(0);
    assert.equal(timeline.onPage(5), 5);
    assert.equal(timeline.inPlayer(5), 5);
    assert.equal(timeline.duration(start + 16), 16);
  });
}

test("another file has a clock that is not known yet", () => {
  const timeline = new Timeline(2, 16);
  timeline.observe(2);
  timeline.reset(3, 20);
  assert.equal(timeline.known, false);
  timeline.reset(0, 0);
  assert.equal(timeline.inPlayer(5), 5);
});

test("an event tells that the clock is known", () => {
  const timeline = new Timeline(2, 16);
  let told = 0;
  timeline.addEventListener("known", () => {
    told += 1;
  });
  timeline.observe(0);
  assert.equal(told, 1);
});

test("the duration is the service's while the browser has not loaded all of the film", () => {
  const timeline = new Timeline(0, 16);
  assert.equal(timeline.duration(NaN), 16);
  assert.equal(timeline.duration(15.36), 16);
  assert.equal(timeline.duration(16.02), 16.02);
});
