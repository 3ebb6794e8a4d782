// The index of the segments of a fragmented MP4 (sidx, ISO/IEC 14496-12 §8.16.3).

const [LARGE_SIZE, REFERENCE, TO_REFERENCES] = [1, 12, 4]; // a size of 64 bits follows; bytes

export class Segments {
  #times; // seconds at which each can be begun with
  #offsets; // bytes, and one more: where the last one ends

  /** `head` are the bytes of the file up to the end of the index. Throws RangeError without one. */
  constructor(head) {
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const { start, end } = findIndex(view);
    const isWide = view.getUint8(start) === 1;
    const read = (at) => (isWide ? Number(view.getBigUint64(at)) : view.getUint32(at));
    const timescale = view.getUint32(start + 8);
    const after = start + 12 + (isWide ? 16 : 8);
    let time = read(start + 12);
    let offset = end + read(start + 12 + (isWide ? 8 : 4));
    const first = after + TO_REFERENCES;
    this.#times = [];
    this.#offsets = [offset];
    for (let at = first; at + REFERENCE <= end; at += REFERENCE) {
      // A segment may begin with pictures that are shown before its key frame.
      const lead = view.getUint32(at + 8) & 0xfffffff;
      this.#times.push((time + lead) / timescale);
      time += view.getUint32(at + 4);
      offset += view.getUint32(at) & 0x7fffffff;
      this.#offsets.push(offset);
    }
  }

  get count() {
    return this.#times.length;
  }

  /** Return the number of the segment that is to be begun with for a position. */
  at(second) {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#times[middle] <= second) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Return when a segment begins, in seconds; Infinity for one after the last. */
  time(number) {
    return this.#times[number] ?? Number.POSITIVE_INFINITY;
  }

  /** Return where a segment is: its first byte, and that after its last. */
  bytes(number) {
    return this.#offsets.slice(number, number + 2);
  }
}

/** Return where the content of the box is. */
function findIndex(view) {
  for (let at = 0; at + 8 <= view.byteLength; ) {
    const isLarge = view.getUint32(at) === LARGE_SIZE;
    const size = isLarge ? Number(view.getBigUint64(at + 8)) : view.getUint32(at);
    if (size < 8) break;
    const isIndex = view.getUint32(at + 4) === 0x73696478; // sidx
    if (isIndex && at + size <= view.byteLength) return { start: at + 8, end: at + size };
    at += size;
  }
  throw new RangeError("no index");
}
