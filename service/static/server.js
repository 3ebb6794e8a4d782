// Questions to the server about the video.

const TIMEOUT = 20_000; // milliseconds; the edge holds requests for ten seconds

/** Return the status of a request for the video's last byte; 0 without an answer. */
export async function statusOf(url) {
  try {
    // The edge's cache answers no suffix ranges: it may still have blocks of a deleted revision.
    const headers = { Range: "bytes=-1" };
    const signal = AbortSignal.timeout(TIMEOUT);
    const response = await fetch(url, { headers, cache: "no-store", signal });
    response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

/** Return the video's JSON, or null if it cannot be had. */
export async function fetchVideo(url) {
  try {
    const response = await fetch(url, { cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
