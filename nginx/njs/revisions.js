// The current revision of a file, from the service; the last known one while the service is away.

import retry from './retry.js';

// Milliseconds for which the service is asked again if a last known revision could be used instead.
const RETRY_TIMEOUT_WITH_STALE = 1000;

// Return the current revision of what a route serves of a file ("/media/film.mp4", or with one of its sounds
// "/media/film.mp4&sound=2"), '' if it has none.
// If no replica answers, return the last known one, so that cached blocks are still served. Throws if
// there is none.
async function currentRevision(r, path) {
    const known = ngx.shared.revisions, started = Date.now();
    const timeout = known.has(path) ? RETRY_TIMEOUT_WITH_STALE : retry.RETRY_TIMEOUT;
    r.variables.revision_path = path;
    for (let tries = 0; Date.now() - started < timeout; tries++) {
        const reply = await r.subrequest('/_current_revision');
        if (reply.status === 204) {
            const revision = reply.headersOut['X-Revision'] || '';
            // The service answers, but its storage is away.
            if (reply.headersOut['X-Unavailable']) return known.get(path) || '';
            if (revision) known.set(path, revision);
            else known.delete(path);
            return revision;
        }
        // A status below 500 would be the same the next time. The service itself then tells the client
        // what is wrong with the request.
        if (reply.status < 500) return '';
        await retry.sleep(retry.backoff(tries));
    }
    if (!known.has(path)) throw new Error(`no replica tells the revision of ${path}`);
    return known.get(path);
}

export default { currentRevision };
