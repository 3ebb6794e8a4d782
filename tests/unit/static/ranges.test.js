import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { readRange } from "./ranges.js";

const DATA = Uint8Array.from({ length: 5000 }, (_, at) => at % 251);
const BLOCK = 1000;

/** Serve DATA by blocks. `fail` is called with each range and may answer in another way. */
async function serving(fail, run) {
  const asked = [];
  const server = createServer((request, response) => {
    const [begin, last] = request.headers.range.match(/\d+/g).map(Number);
    asked.push([begin, last]);
    if (fail(begin, response, asked.length)) return;
    const end = Math.min(last + 1, (Math.floor(begin / BLOCK) + 1) * BLOCK);
    response.writeHead(206, { "Content-Length": end - begin });
    response.end(DATA.subarray(begin, end));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    await run(`http://127.0.0.1:${server.address().port}/`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function all(parts) {
  const bytes = [];
  for await (const part of parts) bytes.push(...part);
  return bytes;
}

const never = () => new AbortController().signal;

test("a range of several blocks is read by one request for each", async () => {
  await serving(
    () => false,
    async (url, asked) => {
      assert.deepEqual(await all(readRange(url, 500, 2300, never())), [...DATA.slice(500, 2300)]);
      assert.deepEqual(asked, [
        [500, 2299],
        [1000, 2299],
        [2000, 2299],
      ]);
    },
  );
});

test("after a connection is cut off the rest is read", async () => {
  const cut = (begin, response, number) => {
    if (number > 1) return false;
    response.writeHead(206, { "Content-Length": 800 });
    response.write(DATA.subarray(begin, begin + 300), () => response.destroy());
    return true;
  };
  await serving(cut, async (url, asked) => {
    assert.deepEqual(await all(readRange(url, 100, 900, never())), [...DATA.slice(100, 900)]);
    assert.equal(asked.at(-1)[0] > 100, true);
  });
});

test("a server that is busy is asked again", async () => {
  const busy = (_, response, number) => {
    if (number === 1) response.writeHead(503).end();
    return number === 1;
  };
  await serving(busy, async (url, asked) => {
    assert.deepEqual(await all(readRange(url, 0, 10, never())), [...DATA.slice(0, 10)]);
    assert.equal(asked.length, 2);
  });
});

for (const status of [200, 404, 410, 416]) {
  test(`a response with status ${status} ends it at once`, async () => {
    const refuse = (_, response) => response.writeHead(status).end("no");
    await serving(refuse, async (url, asked) => {
      await assert.rejects(all(readRange(url, 0, 10, never())), { message: `${status}` });
      assert.equal(asked.length, 1);
    });
  });
}

test("it ends when it is told to, also during a response or a pause", async () => {
  const abort = new AbortController();
  const stand = (begin, response) => {
    response.writeHead(206, { "Content-Length": 100 });
    response.write(DATA.subarray(begin, begin + 10), () => abort.abort());
    return true;
  };
  await serving(stand, async (url) => {
    await assert.rejects(all(readRange(url, 0, 100, abort.signal)), { name: "AbortError" });
  });
  const busy = new AbortController();
  const refuse = (_, response) => {
    response.writeHead(503).end();
    setTimeout(() => busy.abort(), 100);
    return true;
  };
  await serving(refuse, async (url) => {
    await assert.rejects(all(readRange(url, 0, 100, busy.signal)), { name: "AbortError" });
  });
});
