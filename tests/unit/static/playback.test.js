import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Playback } from "./playback.js";
import { Timeline } from "./timeline.js";

/** A player that seeks no further than it has loaded, as Firefox in a fragmented MP4. */
class Player extends EventTarget {
  readyState = 1;
  paused = true;
  duration = 16;
  loaded = 8;
  error = null;
  seeks = 0;
  #time = 0;

  get currentTime() {
    return this.#time;
  }

  set currentTime(time) {
    this.seeks += 1;
    this.#time = Math.min(time, this.loaded);
    this.dispatchEvent(new Event("seeking"));
    this.dispatchEvent(new Event("seeked"));
  }
}

function started() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const player = new Player();
  const playback = new Playback(player, 0, new Timeline(0, 16));
  playback.begin();
  return { player, playback };
}

test("a seek that ends too early is repeated until the position is reached", (t) => {
  t.after(() => mock.timers.reset());
  const { player, playback } = started();
  playback.seek(9);
  assert.equal(player.currentTime, 8);
  player.loaded = 16;
  mock.timers.tick(1000);
  assert.equal(player.currentTime, 9);
  assert.equal(player.seeks, 2);
});

test("a seek is repeated for as long as it comes further", (t) => {
  t.after(() => mock.timers.reset());
  const { player, playback } = started();
  playback.seek(15);
  for (let second = 0; second < 60; second += 1) {
    player.loaded = Math.min(16, player.loaded + 0.125);
    mock.timers.tick(1000);
  }
  assert.equal(player.currentTime, 15);
});

test("a position that is never reached is given up", (t) => {
  t.after(() => mock.timers.reset());
  const { player, playback } = started();
  playback.seek(9);
  for (let second = 0; second < 60; second += 1) mock.timers.tick(1000);
  assert.equal(player.seeks, 21);
});

test("a seek by the player's own controls is not undone", (t) => {
  t.after(() => mock.timers.reset());
  const { player, playback } = started();
  playback.seek(9);
  player.currentTime = 3;
  player.loaded = 16;
  mock.timers.tick(10_000);
  assert.equal(player.currentTime, 3);
});

test("what is loaded is the part around the position, on the page's clock", () => {
  const player = new Player();
  const parts = [
    [3600, 3604],
    [3608, 3612],
  ];
  player.loaded = 4000;
  player.buffered = {
    length: 2,
    start: (index) => parts[index][0],
    end: (index) => parts[index][1],
  };
  const timeline = new Timeline(3600, 16);
  const playback = new Playback(player, 0, timeline);
  timeline.observe(3600);
  player.currentTime = 3601;
  assert.equal(playback.loaded, 4);
  player.currentTime = 3610;
  assert.equal(playback.loaded, 12);
  player.currentTime = 3606; // nothing is there
  assert.equal(playback.loaded, 6);
});

test("a browser that refuses to play is reported, and other failures are not", async () => {
  const player = new Player();
  const playback = new Playback(player, 0, new Timeline(0, 16));
  let refusals = 0;
  playback.addEventListener("refused", () => (refusals += 1));
  for (const [name, expected] of [
    ["AbortError", 0],
    ["NotAllowedError", 1],
  ]) {
    player.play = () => Promise.reject(Object.assign(new Error(), { name }));
    playback.play();
    await new Promise(setImmediate);
    assert.equal(refusals, expected);
  }
});

test("after the page has gone to another video the player is left alone", (t) => {
  t.after(() => mock.timers.reset());
  mock.timers.enable({ apis: ["setTimeout"] });
  const [player, visit] = [new Player(), new AbortController()];
  const playback = new Playback(player, 0, new Timeline(0, 16), visit.signal);
  playback.begin();
  playback.seek(9); // which ends too early, and would be repeated
  visit.abort();
  player.currentTime = 2;
  mock.timers.tick(10_000);
  assert.equal(player.currentTime, 2);
});
