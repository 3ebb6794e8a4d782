import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { exportHistory, importHistory } from "./exchange.js";
import {
  followHistory,
  forgetEverything,
  inProgress,
  isAtEnd,
  readSeen,
  saveSeen,
} from "./seen.js";
import { saveProgress } from "./store.js";

/** The part of Web Storage that the modules use. */
class Storage {
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  setItem(key, value) {
    this[key] = String(value);
  }

  removeItem(key) {
    delete this[key];
  }
}

beforeEach(() => {
  globalThis.localStorage = new Storage();
});

for (const [second, duration, expected] of [
  [94, 100, false],
  [96, 100, true], // 95 % of it
  [6900, 7200, false],
  [6901, 7200, true], // the last five minutes of two hours
  [0, 0, false],
]) {
  test(`second ${second} of ${duration} is ${expected ? "" : "not "}the end`, () => {
    assert.equal(isAtEnd(second, duration), expected);
  });
}

test("what was seen is no longer in progress, and what is unmarked is neither", () => {
  saveProgress("a.mp4", 50, 100);
  saveProgress("b.mp4", 50, 100);
  saveSeen(true, "a.mp4");
  assert.deepEqual(Object.keys(readSeen()), ["a.mp4"]);
  assert.deepEqual(
    inProgress().map(([path]) => path),
    ["b.mp4"],
  );
  saveSeen(false, "a.mp4");
  assert.deepEqual(readSeen(), {});
  forgetEverything();
  assert.deepEqual(inProgress(), []);
});

test("the last five thousand videos are kept", () => {
  const seen = Array.from({ length: 6000 }, (_, number) => [`${number}.mp4`, number]);
  importHistory(JSON.stringify({ reelay: 1, seen: Object.fromEntries(seen) }));
  assert.equal(Object.keys(readSeen()).length, 5000);
  assert.equal(readSeen()["1000.mp4"], 1000);
  assert.ok(!("999.mp4" in readSeen()));
  saveSeen(true, "new.mp4");
  assert.equal(Object.keys(readSeen()).length, 5000);
  assert.ok("new.mp4" in readSeen());
});

test("what is exported can be imported into another browser, where the newer stays", () => {
  saveSeen(true, "seen.mp4");
  saveProgress("begun.mp4", 50, 100);
  const file = exportHistory();
  globalThis.localStorage = new Storage();
  saveProgress("begun.mp4", 70, 100);
  const [[, [, , time]]] = inProgress();
  const older = JSON.parse(file);
  older.progress["begun.mp4"][2] = time - 1;
  assert.equal(importHistory(JSON.stringify(older)), 2);
  assert.deepEqual(Object.keys(readSeen()), ["seen.mp4"]);
  assert.equal(inProgress()[0][1][0], 70);
  older.progress["begun.mp4"][2] = time + 1;
  importHistory(JSON.stringify(older));
  assert.equal(inProgress()[0][1][0], 50);
});

for (const text of ["", "{", "null", "[]", "1", '{"reelay": 2}', '{"seen": {"a.mp4": 1}}']) {
  test(`${text || "an empty file"} is no history`, () => {
    assert.throws(() => importHistory(text));
    assert.deepEqual(readSeen(), {});
  });
}

test("what is wrong in a history is left out", () => {
  const seen = { "a.mp4": 5, "b.mp4": "yesterday", "c.mp4": null, ["d".repeat(5000)]: 5 };
  const progress = { "e.mp4": [1, 2, 3], "f.mp4": [1, 2], "g.mp4": [0, 2, 3], "h.mp4": 7 };
  assert.equal(importHistory(JSON.stringify({ reelay: 1, seen, progress })), 2);
  assert.deepEqual(Object.keys(readSeen()), ["a.mp4"]);
  assert.deepEqual(
    inProgress().map(([path]) => path),
    ["e.mp4"],
  );
});

for (const text of ["{", "[1]", "null", '"a"', '{"a.mp4": "x", "b.mp4": {"c": 1}}']) {
  test(`${text} in the storage is nothing that was seen`, () => {
    localStorage.setItem("reelay.seen", text);
    assert.deepEqual(readSeen(), {});
    saveSeen(true, "a.mp4");
    assert.deepEqual(Object.keys(readSeen()), ["a.mp4"]);
  });
}

test("a storage that is not allowed changes nothing", () => {
  globalThis.localStorage = undefined;
  saveSeen(true, "a.mp4");
  assert.deepEqual(readSeen(), {});
  assert.deepEqual(inProgress(), []);
  forgetEverything();
});

test("a hidden page waits with what another tab keeps until it is seen again", () => {
  const page = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { hidden: true });
  globalThis.addEventListener = page.addEventListener.bind(page);
  const show = (isShown) => {
    document.hidden = !isShown;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  let updates = 0;
  followHistory(() => (updates += 1));
  for (let second = 0; second < 3; second += 1) page.dispatchEvent(new Event("storage"));
  assert.equal(updates, 0);
  show(true);
  assert.equal(updates, 1);
  show(false);
  show(true); // nothing has changed since
  assert.equal(updates, 1);
  page.dispatchEvent(new Event("storage"));
  document.dispatchEvent(new Event("seenchange"));
  assert.equal(updates, 3);
});
