import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { EVENTS, Recovery } from "./recovery.js";

const URL_OF_FILM = "https://host/media/film.mp4?v=1-1#t=30";
// HTML §4.8.11
const NO_SOURCE = 3;
const [NETWORK, DECODE, NOT_SUPPORTED] = [2, 3, 4].map((code) => ({ code }));

// A clock that stands still until `pass` is called.
let now = 0;
let timers = [];
globalThis.performance.now = () => now;
globalThis.setTimeout = (act, delay) => {
  const timer = { act, at: now + delay };
  timers.push(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => {
  timers = timers.filter((other) => other !== timer);
};

beforeEach(() => {
  timers = [];
});

const settle = () => new Promise(setImmediate);

async function pass(seconds) {
  now += 1000 * seconds;
  for (const timer of timers.filter(({ at }) => at <= now)) {
    clearTimeout(timer);
    timer.act();
  }
  await settle();
}

/** A playing player, and a server that gives these statuses in turn and then does not answer. */
function start({ statuses = [], video = null, playable = true, decodable = true } = {}) {
  const media = {
    error: null,
    networkState: 2,
    readyState: 4,
    paused: false,
    ended: false,
    seeking: false,
    currentTime: 10,
  };
  const asked = [];
  const server = {
    statusOf: (url) => {
      asked.push(String(url));
      return statuses.length ? Promise.resolve(statuses.shift()) : new Promise(() => {});
    },
    fetchVideo: async () => video,
  };
  const recovery = new Recovery(media, URL_OF_FILM, server, { playable, decodable });
  const seen = { changes: [], loads: [], videos: [] };
  recovery.addEventListener("change", ({ state, reason }) => {
    assert.equal(state, recovery.state);
    seen.changes.push(reason ? `${state}: ${reason}` : state);
  });
  recovery.addEventListener("load", ({ url }) => {
    seen.loads.push(url);
    // As the element's load() does: HTML §4.8.11.5.
    Object.assign(media, { error: null, networkState: 2, readyState: 0 });
  });
  recovery.addEventListener("replaced", (event) => seen.videos.push(event.video));
  const fail = async (error = NETWORK) => {
    Object.assign(media, { error, readyState: 2 });
    recovery.failed();
    await settle();
  };
  const stall = async (seconds) => {
    media.readyState = 2;
    await pass(seconds);
    recovery.check();
    await settle();
  };
  return { media, recovery, statuses, asked, seen, fail, stall };
}

const arrive = {
  playing: async () => start(),
  checking: async () => {
    const player = start();
    await player.stall(5);
    return player;
  },
  asking: async () => {
    const player = start();
    await player.fail();
    return player;
  },
  waiting: async () => {
    const player = start({ statuses: [0] });
    await player.fail();
    return player;
  },
  reloading: async () => {
    const player = start({ statuses: [206] });
    await player.fail();
    return player;
  },
  gone: async () => {
    const player = start({ statuses: [404] });
    await player.fail();
    return player;
  },
  unplayable: async () => {
    const player = start({ statuses: [206, 206] });
    await player.fail(DECODE);
    await player.fail(DECODE);
    return player;
  },
};

const data = ({ recovery, media }) => {
  Object.assign(media, { error: null, readyState: 3 });
  recovery.report("canplay");
};
const play = ({ recovery, media }) => {
  recovery.report("playing");
  media.currentTime += 1.5;
  recovery.report("timeupdate");
};
const inputs = {
  failed: ({ recovery }) => recovery.failed(),
  retry: ({ recovery }) => recovery.retry(),
  wake: ({ recovery }) => recovery.wake(),
  data,
  silence: async ({ recovery, media }) => {
    media.readyState = 2;
    now += 60_000; // and no timer: those have a test of their own
    recovery.check();
  },
};

const TABLE = {
  playing: {
    failed: "asking",
    retry: "asking",
    wake: "playing",
    data: "playing",
    silence: "asking",
  },
  checking: {
    failed: "checking",
    retry: "checking",
    wake: "checking",
    data: "checking",
    silence: "checking",
  },
  asking: {
    failed: "asking",
    retry: "asking",
    wake: "asking",
    data: "asking",
    silence: "asking",
  },
  waiting: {
    failed: "asking",
    retry: "asking",
    wake: "asking",
    data: "playing",
    silence: "waiting",
  },
  reloading: {
    failed: "asking",
    retry: "asking",
    wake: "asking",
    data: "playing",
    silence: "asking",
  },
  gone: { failed: "asking", retry: "asking", wake: "asking", data: "playing", silence: "gone" },
  unplayable: {
    failed: "asking",
    retry: "asking",
    wake: "unplayable",
    data: "playing",
    silence: "unplayable",
  },
};

for (const [state, row] of Object.entries(TABLE)) {
  for (const [input, next] of Object.entries(row)) {
    test(`${state}, ${input}: ${next}`, async () => {
      const player = await arrive[state]();
      assert.equal(player.recovery.state, state);
      await inputs[input](player);
      assert.equal(player.recovery.state, next);
      assert.equal(player.recovery.active, next !== "playing" && next !== "checking");
    });
  }
}

for (const [status, ...changes] of [
  [200, "asking", "reloading: reloading"],
  [206, "asking", "reloading: reloading"],
  [404, "asking", "gone: gone"],
  [410, "asking", "asking: replaced"], // and the server is asked for the unpinned URL
  [0, "asking", "waiting: lost"],
  [503, "asking", "waiting: unavailable"],
  [403, "asking", "waiting: unavailable"],
]) {
  test(`a failure and a status of ${status}`, async () => {
    const player = start({ statuses: [status] });
    await player.fail();
    assert.deepEqual(player.seen.changes, changes);
  });
}

for (const [error, verdict, ...changes] of [
  [NETWORK, {}, "waiting: reloading"],
  [NOT_SUPPORTED, {}, "waiting: reloading"],
  [NOT_SUPPORTED, { decodable: false }, "unplayable"],
  [NOT_SUPPORTED, { playable: false }, "unplayable"],
  [NETWORK, { playable: false }, "waiting: reloading"],
  [DECODE, {}, "unplayable: damaged"],
]) {
  test(`a second failure, ${JSON.stringify([error, verdict])}`, async () => {
    const player = start({ statuses: [206, 206], ...verdict });
    await player.fail(error);
    await player.fail(error);
    assert.deepEqual(player.seen.changes.slice(2), ["asking", ...changes]);
  });
}

test("a second failure of a connection is reloaded when the delay is over", async () => {
  const player = start({ statuses: [206, 206, 206] });
  await player.fail();
  await player.fail();
  assert.equal(player.recovery.state, "waiting");
  await pass(1.25);
  assert.equal(player.recovery.state, "reloading");
});

test("a source without a type that plays has failed too", async () => {
  const { media, recovery } = start();
  assert.equal(recovery.hasFailed, false);
  media.networkState = NO_SOURCE;
  assert.equal(recovery.hasFailed, true);
});

for (const [random, factor] of [
  [0, 0.75],
  [0.5, 1],
]) {
  test(`delays double up to a minute, times ${factor} by chance`, async (context) => {
    context.mock.method(Math, "random", () => random);
    const player = start({ statuses: Array(9).fill(0) });
    await player.fail();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const asked = player.asked.length;
      await pass(factor * seconds - 0.001);
      assert.equal(player.asked.length, asked, `before ${seconds} s`);
      await pass(0.001);
      assert.equal(player.asked.length, asked + 1, `after ${seconds} s`);
    }
  });
}

test("a deleted file is asked for after 16 seconds, then less often", async () => {
  const player = start({ statuses: Array(5).fill(404) });
  await player.fail();
  for (const seconds of [16, 32, 60, 60]) {
    const asked = player.asked.length;
    await pass(seconds - 0.001);
    assert.equal(player.asked.length, asked, `before ${seconds} s`);
    await pass(0.001);
    assert.equal(player.asked.length, asked + 1, `after ${seconds} s`);
  }
});

test("after a second of playback delays begin anew", async () => {
  const player = start({ statuses: [0, 0, 0] });
  await player.fail();
  await pass(1.25); // the next delay is of two seconds
  data(player);
  player.recovery.report("playing");
  player.media.currentTime += 1.5;
  player.recovery.report("timeupdate");
  await player.fail();
  await pass(1.25);
  assert.equal(player.asked.length, 4);
});

test("no stall is a stall of a player that is paused, has ended or has data", async () => {
  for (const change of [{ paused: true }, { ended: true }, { readyState: 3 }]) {
    const { media, recovery } = start();
    Object.assign(media, { readyState: 2 }, change);
    await pass(60);
    recovery.check();
    assert.equal(recovery.state, "playing");
  }
});

for (const [status, ...changes] of [
  [206, "checking", "playing"],
  [404, "checking", "playing"], // the player itself will see that
  [0, "checking", "waiting: lost"],
  [500, "checking", "waiting: unavailable"],
]) {
  test(`a stall of five seconds and a status of ${status}`, async () => {
    const player = start({ statuses: [status] });
    await player.stall(4.9);
    assert.deepEqual(player.seen.changes, []);
    await player.stall(0.1);
    assert.deepEqual(player.seen.changes, changes);
  });
}

test("a failure during a stall is seen once the server has answered", async () => {
  let answer;
  const player = start();
  player.statuses.push(
    new Promise((resolve) => {
      answer = resolve;
    }),
  );
  await player.stall(5);
  await player.fail();
  assert.deepEqual(player.seen.changes, ["checking"]);
  answer(206);
  await settle();
  assert.deepEqual(player.seen.changes, ["checking", "asking"]);
});

test("a reload that brings nothing is repeated after 20, 40 and 80 seconds", async () => {
  const player = start({ statuses: Array(4).fill(206) });
  await player.fail();
  for (const [index, seconds] of [20, 40, 80].entries()) {
    await player.stall(seconds - 0.1);
    assert.equal(player.seen.loads.length, index + 1);
    await player.stall(0.1);
    assert.equal(player.seen.loads.length, index + 2);
  }
  data(player);
  await player.stall(20); // after a recovery it is 20 again
  assert.equal(player.recovery.state, "asking");
});

test("every byte ends the silence", async () => {
  const player = start();
  for (let count = 0; count < 5; count += 1) {
    await player.stall(4.9);
    player.recovery.report("progress");
  }
  assert.equal(player.recovery.state, "playing");
});

test("no event but those of data ends a failure, and none while the player seeks", async () => {
  for (const type of EVENTS) {
    const player = await arrive.waiting();
    Object.assign(player.media, { error: null, readyState: 2, seeking: true });
    player.recovery.report(type);
    assert.equal(player.recovery.state, "waiting", type);
    player.media.seeking = false;
    player.recovery.report(type);
    const ends = ["loadeddata", "seeked", "canplay", "playing"].includes(type);
    assert.equal(player.recovery.state, ends ? "playing" : "waiting", type);
  }
});

test("the URL is loaded again without its time", async () => {
  const { seen } = await arrive.reloading();
  assert.deepEqual(seen.loads, ["https://host/media/film.mp4?v=1-1"]);
});

for (const [what, video, status, loads, state] of [
  ["that the library knows", { media_url: "/media/film.mp4?v=2-2" }, [], ["?v=2-2"], "reloading"],
  ["that it does not know", { media_url: "/media/film.mp4?v=1-1" }, [206], [""], "reloading"],
  ["and no answer of the library", null, [206], [""], "reloading"],
  ["that is deleted", null, [404], [], "gone"],
]) {
  test(`a new revision ${what}`, async () => {
    const { fail, recovery, seen } = start({ statuses: [410, ...status], video });
    await fail();
    assert.equal(recovery.state, state);
    assert.deepEqual(
      seen.loads,
      loads.map((query) => `https://host/media/film.mp4${query}`),
    );
    assert.deepEqual(seen.videos, loads[0] ? [video] : []);
  });
}

test("a retry of a player that has recovered by itself loads nothing", async () => {
  const { media, recovery, seen } = await arrive.unplayable();
  Object.assign(media, { error: null, readyState: 3 });
  recovery.reload();
  assert.equal(recovery.state, "playing");
  assert.equal(seen.loads.length, 1);
});

test("the viewer may try what was taken for unplayable", async () => {
  const player = await arrive.unplayable();
  player.statuses.push(206);
  player.recovery.tryAnyway();
  await settle();
  assert.equal(player.recovery.state, "reloading");
});

test("a source that fails again and again is given up", async () => {
  const player = start({ statuses: Array(20).fill(206) });
  for (let count = 0; count < 6; count += 1) {
    await player.fail(NOT_SUPPORTED);
    await pass(1.25 * 16); // the longest delay until then
    assert.equal(player.recovery.state, "reloading", `after ${count + 1} failures`);
  }
  await player.fail(NOT_SUPPORTED);
  assert.equal(player.recovery.state, "unplayable");
  const loads = player.seen.loads.length;
  player.recovery.wake();
  await pass(3600);
  assert.equal(player.seen.loads.length, loads);
});

test("a source that has played is then called damaged", async () => {
  const player = start({ statuses: Array(20).fill(206) });
  play(player);
  for (let count = 0; count < 7; count += 1) {
    // As Firefox, whose error is that of the <source>.
    player.media.networkState = NO_SOURCE;
    await player.fail(null);
    await pass(20); // the longest delay until then
  }
  assert.equal(player.seen.changes.at(-1), "unplayable: damaged");
});

test("a connection that fails is never given up", async () => {
  const player = start({ statuses: Array(20).fill(206) });
  for (let count = 0; count < 10; count += 1) {
    await player.fail(NETWORK);
    await pass(75); // the longest delay
    assert.equal(player.recovery.state, "reloading");
  }
});

test("a connection that always fails for what no browser plays is given up", async () => {
  const player = start({ statuses: Array(20).fill(206), playable: false });
  for (let count = 0; count < 10; count += 1) {
    await player.fail(NETWORK);
    await pass(75);
  }
  assert.equal(player.recovery.state, "unplayable");
  assert.equal(player.seen.loads.length, 6);
});

test("silence of what no browser plays is its end, as Chromium waits for a key", async () => {
  const player = start({ statuses: [206, 206], playable: false });
  await player.stall(20);
  assert.equal(player.recovery.state, "unplayable");
  assert.deepEqual(player.seen.loads, []);
});

test("what is found to be encrypted is not loaded again", async () => {
  const player = start({ statuses: [206] });
  player.recovery.refuse();
  assert.equal(player.recovery.state, "unplayable");
  await player.stall(3600);
  assert.deepEqual(player.seen.loads, []);
});

test("a file that no browser plays is not called damaged", async () => {
  const player = start({ statuses: [206, 206], playable: false });
  await player.fail(DECODE);
  await player.fail(DECODE);
  assert.deepEqual(player.seen.changes.slice(2), ["asking", "unplayable"]);
});

test("a recovery that is stopped does nothing more, also with an answer that comes late", async () => {
  for (const state of Object.keys(arrive)) {
    const { recovery, statuses, seen } = await arrive[state]();
    const before = structuredClone(seen);
    recovery.stop();
    statuses.push(206, 206, 206);
    recovery.failed();
    await settle();
    await pass(120);
    recovery.reload();
    assert.deepEqual(seen, before, state);
  }
});
