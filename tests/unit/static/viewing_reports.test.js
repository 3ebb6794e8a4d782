import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { querySelector: () => null };
const { Frames, Viewing } = await import("./viewing_reports.js");

const NONE = { frames: 0, dropped: 0 };

// What happens to a viewer at which second, and the sums afterwards.
const CASES = {
  "a start, a stall and the end": [
    ["ask 10", "plays 10.5", "waits 20.5", "plays 22.5", "rests 30.5"],
    { first_frame: 0.5, played: 18, stalled: 2, stalls: 1 },
  ],
  "the time between pauses": [
    ["ask 0", "plays 1", "rests 5", "ask 50", "plays 50", "rests 52"],
    { first_frame: 1, played: 6, stalled: 0, stalls: 0 },
  ],
  "a start that the viewer gives up": [
    ["ask 0", "rests 5", "ask 20", "plays 21", "rests 22"],
    { first_frame: 1, played: 1, stalled: 0, stalls: 0 },
  ],
  "a start at another position": [
    ["ask 0", "seeks 1", "waits 1", "plays 3", "rests 3"],
    { first_frame: 3, played: 0, stalled: 0, stalls: 0 },
  ],
  "a seek, which is no stall": [
    ["ask 0", "plays 0", "seeks 10", "waits 11", "plays 15", "rests 16"],
    { first_frame: 0, played: 11, stalled: 0, stalls: 0 },
  ],
  "a start for which the viewer waited in vain": [
    ["ask 0", "leaves 9", "plays 11", "rests 12"],
    { first_frame: 9, played: 1, stalled: 0, stalls: 0 },
  ],
  "a viewer who leaves at once": [
    ["ask 0", "leaves 1", "plays 3", "rests 4"],
    { first_frame: 3, played: 1, stalled: 0, stalls: 0 },
  ],
  "a viewer who leaves after the start": [
    ["ask 0", "plays 1", "leaves 9", "rests 10"],
    { first_frame: 1, played: 9, stalled: 0, stalls: 0 },
  ],
  "a film that plays already": [["plays 7", "rests 8"], { played: 1, stalled: 0, stalls: 0 }],
  "a night in which the computer slept": [
    ["ask 0", "plays 1", "waits 3", "plays 30000", "rests 30001"],
    { first_frame: 1, played: 3, stalled: 0, stalls: 1 },
  ],
};

function run(viewing, events) {
  for (const event of events) {
    const [name, second] = event.split(" ");
    viewing[name](Number(second));
  }
}

for (const [name, [events, sums]] of Object.entries(CASES)) {
  test(name, () => {
    const viewing = new Viewing();
    run(viewing, events);
    assert.deepEqual(viewing.take(40_000, NONE), { ...sums, errors: {}, ...NONE });
    assert.equal(viewing.take(40_001, NONE), null);
  });
}

test("a failure is counted once until the film plays, and is a stall while the viewer waits", () => {
  const viewing = new Viewing();
  run(viewing, ["ask 0", "plays 0"]);
  viewing.fails("network", false, 10);
  viewing.fails("network", false, 12);
  viewing.plays(14);
  viewing.fails("network", false, 15);
  viewing.fails("decode", true, 16);
  const { played, stalled, stalls, errors } = viewing.take(20, NONE);
  assert.deepEqual([played, stalled, stalls], [11, 5, 2]);
  assert.deepEqual(errors, { network: 2, decode: 1 });
});

test("reports have the seconds since the one before", () => {
  const viewing = new Viewing();
  viewing.ask(0);
  assert.equal(viewing.take(1, NONE), null); // it has not begun yet
  viewing.plays(2);
  const { first_frame, played } = viewing.take(60, NONE);
  assert.deepEqual([first_frame, played], [2, 58]);
  viewing.waits(61);
  assert.deepEqual(viewing.take(120, { frames: 25, dropped: 1 }), {
    ...{ played: 1, stalled: 59, stalls: 1, errors: {} },
    ...{ frames: 25, dropped: 1 },
  });
  assert.equal(viewing.take(180, NONE).stalls, 0);
});

test("frames are counted since the last time, and from 0 for a new source", () => {
  const frames = new Frames();
  const quality = (totalVideoFrames, droppedVideoFrames) => ({
    totalVideoFrames,
    droppedVideoFrames,
  });
  assert.deepEqual(frames.take(undefined), NONE); // sound alone
  assert.deepEqual(frames.take(quality(100, 2)), { frames: 100, dropped: 2 });
  assert.deepEqual(frames.take(quality(150, 2)), { frames: 50, dropped: 0 });
  assert.deepEqual(frames.take(quality(20, 1)), { frames: 20, dropped: 1 });
});
