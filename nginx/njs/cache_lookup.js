// Whether a media request is answered from the cache, and how.
//
// BYPASS: this module redirects the request to @service, as the cache cannot answer it exactly, or the viewer may
// not read it. The service then checks that again.
// HIT or MISS: it redirects to @block, @slice or @rewritten_range, where nginx's proxy_cache looks for each
// block; a block that is missing is fetched by block_fetch.js. snippets/cache-status.conf has the header.

import access from './access.js';
import blockOwner from './block_owner.js';
import contentDisposition from './content_disposition.js';
import contentRange from './content_range.js';
import diskSpace from './disk_space.js';
import eventLoop from './event_loop.js';
import fetchLimit from './fetch_limit.js';
import metrics from './metrics.js';
import requestTarget from './request_target.js';
import revisions from './revisions.js';

// One range whose first byte is given. At most 15 digits: numbers above 2^53 are not exact here. PCRE's $
// also matches before a line feed at the end of a text; (?!\n) excludes that.
const RANGE = /^bytes=(\d{1,15})-(\d{0,15})(?!\n)$/;

// Revisions of layouts (service/protocol/revisions.py): the third part. The second one, of an object, may begin
// with the same letters. A header that precedes a file has 16 MiB at most
// (service/remux/header.py), and so has silence (service/remux/silence.py); headers between its parts have 64 MiB (service/fragments/form.py),
// and sound 2 GiB (service/made_sound/insertions.py); fragments may have both, and may be of a copy. A moved index grows little. A copy has a header, 32 MiB
// and an eighth more than its file (service/artefacts/builder.py).
const LAYOUT = /-[0-9a-f]+-([cfhms])[0-9a-f]+(?:-a[0-9]+)?(?!\n)$/;
const MAX_FACTOR = { c: 1.125, f: 1, h: 1.125, m: 1, s: 1 };
const MAX_ADDED = { c: 50331648, f: 0, h: 2231369728, m: 33554432, s: 2164260864 };

// Answer a request for /media/ or /download/: from the cache if that is exact, else by the service.
function lookUp(r) {
    const v = r.variables;
    let path, pin;
    try {
        path = requestTarget.escapedPath(r);
        pin = requestTarget.pinnedRevision(r);
        if (requestTarget.isDownload(r)) v.content_disposition = contentDisposition.format(r);
        if (!access.mayRead(r)) pin = null;
    } catch (error) {
        r.internalRedirect('@service'); // the path is not UTF-8
        return;
    }
    if (pin === null || path.length > requestTarget.MAX_PATH_LENGTH) {
        r.internalRedirect('@service');
    } else if (pin) {
        answer(r, path, pin, true);
    } else {
        const asked = requestTarget.routePrefix(r) + path + requestTarget.soundQuery(r);
        revisions.currentRevision(r, asked)
            .then((revision) => answer(r, path, revision, false))
            .catch((error) => {
                r.error(`${error}`);
                r.internalRedirect('@unavailable' + v.page_suffix);
            });
    }
}

function answer(r, path, revision, isPinned) {
    const v = r.variables;
    let plan = null;
    try {
        plan = planLookup(r, revision);
    } catch (error) {
        // A header that is not UTF-8: the service answers.
    }
    const isJoined = plan !== null && plan.slicer.startsWith('joiner');
    if (isJoined && !mayJoin(v)) plan = null;
    if (plan === null) {
        r.internalRedirect('@service');
        return;
    }
    // Players request the first byte when they open a film. So films that play go on, and new ones have to wait.
    if (plan.first === 0 && eventLoop.isOverloaded(v)) {
        metrics.count('overloaded');
        r.internalRedirect('@overloaded' + v.page_suffix);
        return;
    }
    v.target = `${path}?v=${revision}`;
    v.range = plan.range;
    v.slicer = plan.slicer;
    v.is_pinned = isPinned ? '1' : '';
    // A joiner counts from the response's first block, or it would fetch all blocks before it.
    if (isJoined && plan.begin) {
        v.range_base = String(plan.begin);
        v.range = contentRange.shifted(plan.range, -plan.begin);
    }
    // The internal servers choose the cache for their blocks themselves: sliceCacheZone.
    if (plan.block && v.has_caches) blockOwner.chooseCache(v, `/media${v.target}|${plan.block}`);
    if (isJoined) v.joined_response = `whole ${v.connection_limit_key}`;
    v.fetch_charge = `${plan.begin} ${parseInt(revision, 16)} ${v.fetch_limit_key}`;
    v.first_byte = String(plan.first);
    r.internalRedirect(plan.location);
}

// Return whether a response of several blocks may begin: it would be cut off at the first block that the
// disk has no room for, or that the viewer's address may not have fetched.
function mayJoin(v) {
    if (diskSpace.isFull('blocks') || diskSpace.isFull('peer_cache')) return false;
    if (v.cache_min_uses === '0' && diskSpace.isFull('memory')) return false;
    return !v.fetch_limit_key || !fetchLimit.isOverLimit(v, v.fetch_limit_key);
}

// Return how the cache answers: the location, the range to read, the position of the first block ("begin")
// and of the first byte, the internal server that slices, and the range of the block if there is only one.
// Null where the service has to answer.
function planLookup(r, revision) {
    const headers = r.headersIn;
    // An empty file ("0-...") has no block.
    if (r.method !== 'GET' || !revision || revision.startsWith('0-')) return null;
    if (headers['If-Match'] !== undefined || headers['If-None-Match'] !== undefined) return null;
    if (headers['If-Modified-Since'] !== undefined) return null;
    if (headers['If-Unmodified-Since'] !== undefined) return null;
    // RFC 9110 13.1.5: a condition that holds changes nothing. Any other is for the service.
    const isConditional = headers['If-Range'] !== undefined;
    if (isConditional && headers['If-Range'] !== `"${revision}"`) return null;
    const range = headers['Range'];
    if (range === undefined) {
        const slicer = slicerFor(r, revision, 0, '');
        return { location: '@rewritten_range', range: '', begin: 0, first: 0, slicer };
    }
    const match = RANGE.exec(range);
    if (match === null) return null;
    const first = Number(match[1]), isOpen = match[2] === '';
    // RFC 9110 15.5.17: a range behind the end gets the service's 416. A layout may be longer than its file
    // (service/representations/), so only its blocks tell where it ends.
    const isBehindFile = first >= parseInt(revision, 16);
    if (isBehindFile && !LAYOUT.test(revision)) return null;
    if (!isOpen && Number(match[2]) < first) return null;
    const size = Number(r.variables.block_size), begin = Math.floor(first / size) * size;
    if (requestTarget.isDownload(r)) {
        const slicer = slicerFor(r, revision, first, match[2]);
        return { location: '@rewritten_range', range, begin, first, slicer };
    }
    const end = begin + size - 1;
    const last = isOpen ? end : Math.min(Number(match[2]), end);
    const capped = `bytes=${first}-${last}`;
    if (first === begin && last === end) {
        return { location: '@block', range: capped, begin, first, slicer: '', block: capped };
    }
    // If nginx's slice module itself answers 416, it keeps headers of the block it has found for whatever is
    // answered instead. So no range behind the end may get to @slice.
    if (capped !== range || isConditional || isBehindFile) {
        return { location: '@rewritten_range', range: capped, begin, first, slicer: 'slicer' };
    }
    // The client's own Range needs no cap.
    return { location: '@slice', range: capped, begin, first, slicer: '', block: `bytes=${begin}-${end}` };
}

// Return the internal server for a range: the slicer for one block, else the first joiner that needs few
// enough parts. A revision begins with the file's size in hexadecimal digits; a layout may be longer, so this
// is an estimate.
function slicerFor(r, revision, first, last) {
    const v = r.variables, size = Number(v.block_size);
    const layout = LAYOUT.exec(revision);
    const file = parseInt(revision, 16);
    const most = layout === null ? file : file * MAX_FACTOR[layout[1]] + MAX_ADDED[layout[1]];
    const end = Math.min(last === '' ? Infinity : Number(last) + 1, most);
    if (end - first <= size && Math.floor(first / size) === Math.floor((end - 1) / size)) return 'slicer';
    if (end - first <= Number(v.run_size)) return 'joiner1';
    return end - first <= Number(v.long_run_size) ? 'joiner2' : 'joiner3';
}

export default { lookUp };
