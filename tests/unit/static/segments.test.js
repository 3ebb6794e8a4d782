import assert from "node:assert/strict";
import { test } from "node:test";
import { Segments } from "./segments.js";

/** Return a box with numbers, each with its bytes. */
function box(kind, ...numbers) {
  const size = 8 + numbers.reduce((sum, [bytes]) => sum + bytes, 0);
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, size);
  for (let at = 0; at < 4; at += 1) view.setUint8(4 + at, kind.charCodeAt(at));
  let at = 8;
  for (const [bytes, number] of numbers) {
    if (bytes === 8) view.setBigUint64(at, BigInt(number));
    if (bytes === 4) view.setUint32(at, number);
    if (bytes === 2) view.setUint16(at, number);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

const SAP = 0x80000000 + 0x10000000; // ISO/IEC 14496-12 §8.16.3: starts with SAP, of type 1

/** An index with 10 units a second: 2 s, 3 s whose key frame is 0.2 s late, and 1 s. */
function index(version, offset) {
  const wide = version === 1 ? 8 : 4;
  return box(
    "sidx",
    ...[
      [4, version * 2 ** 24],
      [4, 1],
      [4, 10],
      [wide, 5],
      [wide, offset],
      [2, 0],
      [2, 3],
    ],
    ...[
      [4, 1000],
      [4, 20],
      [4, SAP],
      [4, 700],
      [4, 30],
      [4, SAP + 2],
      [4, 400],
      [4, 10],
      [4, SAP],
    ],
  );
}

function after(...boxes) {
  return Uint8Array.from(boxes.flatMap((each) => [...each]));
}

for (const version of [0, 1]) {
  test(`an index of version ${version} says where and when its segments begin`, () => {
    const head = after(box("ftyp", [4, 0]), box("moov", [8, 0]), index(version, 42));
    const segments = new Segments(head);
    assert.equal(segments.count, 3);
    assert.deepEqual(
      [0, 1, 2].map((number) => segments.time(number)),
      [0.5, 2.7, 5.5],
    );
    const first = head.length + 42;
    assert.deepEqual(segments.bytes(0), [first, first + 1000]);
    assert.deepEqual(segments.bytes(1), [first + 1000, first + 1700]);
    assert.deepEqual(segments.bytes(2), [first + 1700, first + 2100]);
    assert.equal(segments.time(3), Number.POSITIVE_INFINITY);
  });
}

test("a position is in the last segment whose key frame is not after it", () => {
  const segments = new Segments(index(1, 0));
  const at = (second) => segments.at(second);
  assert.deepEqual([0, 0.5, 2.6, 2.7, 5.4, 5.5, 1000].map(at), [0, 0, 0, 1, 1, 2, 2]);
});

test("an index that is missing or cut off is an error", () => {
  assert.throws(() => new Segments(box("moov", [8, 0])), RangeError);
  assert.throws(() => new Segments(index(1, 0).slice(0, -1)), RangeError);
  assert.throws(() => new Segments(new Uint8Array(30)), RangeError);
});
