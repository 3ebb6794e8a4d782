// Reads a range of bytes from the server, as it comes.

// Seconds before the next attempts after a failure. The player has some data meanwhile; recovery.js
// takes over if it has not.
const PAUSES = [1, 2, 4, 8];

const isPassing = (status) => status >= 500 || status === 429;

/**
 * Yield the bytes from `begin` to `end` in parts. Responses end where a block ends.
 *
 * Throws if the server refuses them, or does not answer after some attempts; or as `signal` says.
 */
export async function* readRange(url, begin, end, signal) {
  let [position, attempt] = [begin, 0];
  while (position < end) {
    const before = position;
    try {
      const headers = { Range: `bytes=${position}-${end - 1}` };
      const response = await fetch(url, { headers, signal });
      if (response.status !== 206) throw new Refusal(response.status);
      for await (const part of partsOf(response.body)) {
        position += part.length;
        attempt = 0;
        yield part;
      }
    } catch (error) {
      if (signal.aborted || error.isFinal) throw error;
    }
    if (position > before) continue;
    if (attempt === PAUSES.length) throw new Error("no answer");
    await pause(PAUSES[attempt], signal);
    attempt += 1;
  }
}

class Refusal extends Error {
  constructor(status) {
    super(`${status}`);
    this.isFinal = !isPassing(status);
  }
}

// Not all browsers iterate over a ReadableStream.
async function* partsOf(body) {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}
