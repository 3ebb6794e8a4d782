// What the edge may answer from its cache, under which name, and how a block comes into it.
// Law: a request is taken apart here only if the answer can be exact; for anything else this says
// "service", and the request is passed on as it is, but for the spelling of its path.

import crypto from 'crypto';
import fs from 'fs';

// In all expressions here: njs matches by PCRE, whose $ is also before a line feed at the end of a text.

// One range, first byte given, at most 15 digits: 2^53 is the last number that is exact here.
const RANGE = /^bytes=(\d{1,15})-(\d{0,15})(?!\n)$/;
// The grammar of service/protocol/revisions.py. Of the bytes behind each door: what players get may be
// a layout of its own (service/mp4/fast_start_layout.py), which nobody is to save as the file.
const REVISION = {
    '/media': /^[0-9a-f]{1,16}-[0-9a-f]{1,64}(?:-f[0-9]{1,3})?(?!\n)$/,
    '/download': /^[0-9a-f]{1,16}-[0-9a-f]{1,64}(?!\n)$/,
};
const SAFE_IN_FALLBACK = /^[A-Za-z0-9 !#$&'()+,;=@^_`{}~.[\]-]$/;
const TO_ESCAPE = /[^A-Za-z0-9/._~-]/;

// Characters of an escaped path: a path of Linux has at most 4,096 bytes (PATH_MAX), each of which may be
// escaped by three. With a longer one, the inner servers could not be asked (large_client_header_buffers).
const LONGEST_PATH = 3 * 4096;

// Milliseconds for which a block is asked for again while no replica gives it whole: longer than
// one that restarts is away.
const PATIENCE = 10000;
// The same for a question for a revision, where one is known that may be stale, and where none is.
const PATIENCE_WITH_STALE = 1000;
// The most for which one request waits for a block that another fetches.
const LONGEST_FLIGHT = 60000;
// For so long nothing is brought into the cache after its disk was found full, and no block of a file
// that is not kept yet, or did not stay.
const DISK_REST = 30000;
const BLOCK_REST = 5000;
// For so long those who wait for a block learn that it is there, or that none is to be had, so that
// all go at once.
const KNOWN = 1000;
// A block that arrives so often without being in the cache afterwards does not stay there.
const MOST_INCOMPLETE = 5;
// A block of which so many tries in a row are cut short is not brought into the cache for BLOCK_REST.
const MOST_CUT_SHORT = 4;

// The folder of the caches, each of which may be a disk of its own.
const CACHES = '/var/cache/nginx';
// The room on the disk of a cache is tested at most once in so many milliseconds.
const ROOM_KNOWN = 1000;
// Bytes of a test that are written at a time, and after how many others have a turn.
const CHUNK = 65536;
const CHUNKS_AT_ONCE = 16;

// What one address may have brought into the cache and not take: so many blocks at once, and then one
// of a hundred requests that it may make (REELAY_REQUESTS_PER_CLIENT), by default one block a second.
// A viewer who seeks leaves up to one block behind each time. One who asked for a byte of each block
// had the edge write 4 MiB for each, and everybody else's blocks leave the cache for it.
const MAX_BLOCKS_LEFT = 64;
const REQUESTS_A_BLOCK_LEFT = 100;

// The next part of an answer waits for so long until it is known how the one before ended, and one that
// broke off is known for so long: a slow client takes minutes to get to its end.
const PART_PATIENCE = 2000;
const BROKEN_KNOWN = 600000;

function sleep(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Pauses between tries: short at first, as another replica is usually there.
function pauseAfter(tries) {
    return Math.min(25 * Math.pow(2, tries), 1000);
}

// "/media" or "/download".
function doorOf(r) {
    return r.uri.slice(0, r.uri.indexOf('/', 1));
}

// The path behind the door, each character escaped in one way, so that every spelling of a name is
// one name in the cache and in the request to the service.
function escapedPath(r) {
    const path = r.uri.slice(r.uri.indexOf('/', 1));
    return TO_ESCAPE.test(path) ? path.split('/').map(encodeURIComponent).join('/') : path;
}

// The request's target as the service gets it where it answers itself: bytes by their one spelling.
function asAsked(r) {
    const v = r.variables;
    if (!r.uri.startsWith('/media/') && !r.uri.startsWith('/download/')) return v.request_uri;
    try {
        return doorOf(r) + escapedPath(r) + (v.args ? `?${v.args}` : '');
    } catch (error) {
        return v.request_uri; // what cannot even be read as text here
    }
}

// The revision that the client pins, '' where it pins none, null where its query says something else.
function pinned(door, query) {
    if (!query) return '';
    const text = query.startsWith('v=') ? query.slice(2) : '';
    return REVISION[door].test(text) ? text : null;
}

// The span to ask for, in a Range header's words, and the location that gives it; null where the
// service has to answer.
function plan(r, revision) {
    const headers = r.headersIn;
    // An empty file ("0-...") has no block.
    if (r.method !== 'GET' || !revision || revision.startsWith('0-')) return null;
    if (headers['If-Match'] !== undefined || headers['If-None-Match'] !== undefined) return null;
    if (headers['If-Modified-Since'] !== undefined) return null;
    if (headers['If-Unmodified-Since'] !== undefined) return null;
    // RFC 9110 13.1.5: a condition that holds changes nothing; of any other the service knows more.
    const conditional = headers['If-Range'] !== undefined;
    if (conditional && headers['If-Range'] !== `"${revision}"`) return null;
    const range = headers['Range'];
    if (range === undefined) {
        return { location: '@cut', span: '', begin: 0, first: 0, cutter: cutterOf(r, revision, 0, '') };
    }
    const match = RANGE.exec(range);
    if (match === null) return null;
    const first = Number(match[1]), open = match[2] === '';
    // RFC 9110 15.5.17: what begins behind the end gets the service's 416. A layout may be longer than
    // its file (service/mp4/fast_start_layout.py), so that its end is known to the blocks alone.
    const behind = first >= parseInt(revision, 16), laidOut = revision.includes('-f');
    if (behind && !laidOut) return null;
    if (!open && Number(match[2]) < first) return null;
    const size = Number(r.variables.block_size), begin = Math.floor(first / size) * size;
    if (r.uri.startsWith('/download/')) {
        const cutter = cutterOf(r, revision, first, match[2]);
        return { location: '@cut', span: range, begin, first, cutter };
    }
    const end = begin + size - 1;
    const last = open ? end : Math.min(Number(match[2]), end);
    const span = `bytes=${first}-${last}`;
    if (first === begin && last === end) return { location: '@block', span, begin, first, block: span };
    // Where nginx itself finds a range to be behind the end, it keeps the headers of what it has found
    // for whatever is answered instead: no such range may get to @piece.
    if (span !== range || conditional || behind) {
        return { location: '@cut', span, begin, first, cutter: 'cutter' };
    }
    // The range as it came needs no cap, and nginx understands it as it is.
    return { location: '@piece', span, begin, first, block: `bytes=${begin}-${end}` };
}

// The inner server that gives a span: the cutter for one block, else the first joiner that has not too
// much to ask for. A revision begins with the size, in hexadecimal digits; players' layout may be
// longer, so that this is an estimate.
function cutterOf(r, revision, first, last) {
    const v = r.variables, size = Number(v.block_size);
    const end = Math.min(last === '' ? Infinity : Number(last) + 1, parseInt(revision, 16));
    if (end - first <= size && Math.floor(first / size) === Math.floor((end - 1) / size)) return 'cutter';
    if (end - first <= Number(v.run_size)) return 'joiner1';
    return end - first <= Number(v.long_run_size) ? 'joiner2' : 'joiner3';
}

// Where a request for bytes goes: the service, or one of the three ways to answer from blocks.
function dispatch(r) {
    const v = r.variables;
    let path, pin;
    try {
        path = escapedPath(r);
        pin = pinned(doorOf(r), v.args);
        if (r.uri.startsWith('/download/')) v.disposition = disposition(r);
    } catch (error) {
        r.internalRedirect('@service'); // what cannot even be read as text here
        return;
    }
    if (pin === null || path.length > LONGEST_PATH) {
        r.internalRedirect('@service');
    } else if (pin) {
        send(r, path, pin, true);
    } else {
        current(r, doorOf(r) + path).then((revision) => send(r, path, revision, false)).catch((error) => {
            r.error(`${error}`);
            r.internalRedirect('@unavailable' + v.as_page);
        });
    }
}

function send(r, path, revision, pin) {
    const v = r.variables;
    let answer = null;
    try {
        answer = plan(r, revision);
    } catch (error) {
        // A header that cannot even be read as text here: the service's.
    }
    // Of several blocks, which would be cut off at the first one that the disk has no room for.
    const long = answer !== null && (answer.cutter || '').startsWith('joiner');
    if (long && (isFull('blocks') || isFull('borrowed'))) answer = null;
    if (long && v.fills_of && hasLeftTooMuch(v, v.fills_of)) answer = null;
    if (answer !== null) {
        v.target = `${path}?v=${revision}`;
        v.span = answer.span;
        v.cutter = answer.cutter || '';
        // A joiner's parts are counted from the answer's first block, or it would fetch those before it.
        if (long && answer.begin) {
            v.base = String(answer.begin);
            v.span = shifted(answer.span, -answer.begin);
        }
        v.pin = pin ? '1' : '';
        // What is cut asks for its blocks in the inner servers: keepingPart.
        if (answer.block && v.edges) lookFor(v, `/media${v.target}|${answer.block}`);
        if (long) v.answer_of = `whole ${v.connections_of}`;
        if (v.fills_of) {
            v.fill_charge = `${v.fills_of} ${answer.begin} ${parseInt(revision, 16)}`;
            v.first_byte = String(answer.first);
        }
    }
    r.internalRedirect(answer === null ? '@service' : answer.location);
}

// Which of several edges keeps a block: for each block the edges have an order of their own, by the
// digests of their names with its name, and the first one that answers keeps it (rendezvous hashing:
// Thaler and Ravishankar, 1998). All edges find the same one. Where one goes, its blocks alone get
// another owner, all others in equal shares; where one comes, it takes its share from all alike.
// Gives the owner's upstream; '' where it is this edge.
function lenderOf(v, name) {
    let highest = '', lender = '';
    v.edges.split(',').forEach((edge, number) => {
        const own = edge === v.this_edge;
        if (!own && ngx.shared.silent.has(edge)) return;
        const digest = crypto.createHash('md5').update(`${edge} ${name}`).digest('hex');
        if (digest > highest) {
            highest = digest;
            lender = own ? '' : `edge_${number}`;
        }
    });
    return lender;
}

// Says in variables where a block is looked for. What is borrowed has a small cache of its own: what a
// crowd wants at this edge is asked for once, and nothing that this edge is to keep has to go for it.
function lookFor(v, name) {
    v.lender = lenderOf(v, name);
    v.keeping = v.lender ? 'borrowed' : 'blocks';
}

// The cache to look into for the block that the cutter or the reader is to give.
function keepingPart(r) {
    const v = r.variables;
    lookFor(v, `${v.request_uri}|${v.slice_range || v.block_range}`);
    return v.keeping;
}

// A range, or a content range, counted from elsewhere: with all its positions moved by so many bytes.
function shifted(text, by) {
    return text.replace(/\d+/g, (position) => String(Number(position) + by));
}

// What the reader is asked for and answers, where it is not counted from the beginning of the file.
function blockRange(r) {
    return shifted(r.headersIn['Range'], Number(r.headersIn['X-Base']));
}

function contentRangeFromBase(r) {
    return shifted(r.variables.upstream_http_content_range || '', -Number(r.headersIn['X-Base']));
}

// What the viewer is told of it again.
function contentRangeOfFile(r) {
    return shifted(r.variables.upstream_http_content_range || '', Number(r.variables.base));
}

// The name under which it is known that a server is sending a part of an answer.
function partName(v) {
    return `${v.exchange_id} ${v.server_addr}`;
}

// Whether it is not known that the part before this one has been sent whole. Notes that this one begins.
function partIsPending(r) {
    return ngx.shared.parts.add(partName(r.variables), 'under way') ? '' : '1';
}

// Waits until it is: another worker may be about to note it. If it broke off, or its worker has died,
// the answer has to end.
async function waitForPart(r) {
    const parts = ngx.shared.parts, name = partName(r.variables), started = Date.now();
    while (parts.get(name) !== 'broken' && Date.now() - started < PART_PATIENCE) {
        await sleep(20);
        if (parts.add(name, 'under way')) {
            r.internalRedirect('@part');
            return;
        }
    }
    r.return(500);
}

// Notes how a part ended. Returns an empty string.
function notePart(r) {
    const v = r.variables, parts = ngx.shared.parts, length = v.sent_http_content_length;
    const begun = v.status === '200' || v.status === '206';
    if (begun && (v.request_completion !== 'OK' || v.body_bytes_sent !== length)) {
        parts.set(partName(v), 'broken', BROKEN_KNOWN);
    } else {
        parts.delete(partName(v));
    }
    return '';
}

// Milliseconds until so many bytes more may be brought in for an address and not be taken.
function timeOf(v, bytes) {
    return bytes / Number(v.block_size) * 1000 * REQUESTS_A_BLOCK_LEFT / Number(v.client_rate);
}

// The time at which all that an address has left would be allowed (GCRA, ITU-T I.371), and whether it
// has left too much.
function due(client) {
    return Math.max(ngx.shared.left.get(client) || 0, Date.now());
}

function hasLeftTooMuch(v, client) {
    return due(client) - Date.now() > timeOf(v, MAX_BLOCKS_LEFT * Number(v.block_size));
}

function takeBack(v, client, bytes) {
    if (ngx.shared.left.has(client)) ngx.shared.left.incr(client, -timeOf(v, bytes));
}

// Whether a block may be brought in for the viewer of this request. If so, it is charged to the viewer's
// address, and the block charged before for the same answer is not any more: it has been sent. An answer
// that has begun is not ended by this: only its first block can be refused.
function mayFill(r) {
    const v = r.variables, answers = ngx.shared.charged, id = v.exchange_id;
    const charge = (r.headersIn['X-Fill-Charge'] || '').split(' '), client = charge[0];
    const range = RANGE.exec(r.headersIn['Range'] || '');
    if (!client || range === null) return true;
    const begin = Number(range[1]), end = Math.min(begin + Number(v.block_size), Number(charge[2]));
    if (begin === Number(charge[1]) && hasLeftTooMuch(v, client)) return false;
    const before = answers.get(id);
    if (before) takeBack(v, client, Number(before.split(' ')[1]) - Number(before.split(' ')[0]));
    ngx.shared.left.set(client, due(client) + timeOf(v, Math.max(end - begin, 0)));
    answers.set(id, `${begin} ${end}`);
    return true;
}

// Takes back, at the end of an answer, what its viewer took of the last block that was charged. Returns
// an empty string.
function noteTaken(r) {
    const v = r.variables, charged = ngx.shared.charged.get(v.request_id);
    if (!charged) return '';
    ngx.shared.charged.delete(v.request_id);
    const block = charged.split(' ').map(Number), first = Number(v.first_byte);
    const end = Math.min(first + Number(v.body_bytes_sent), block[1]);
    takeBack(v, v.fills_of, Math.max(end - Math.max(first, block[0]), 0));
    return '';
}

// Looks which of the other edges are there: one that is not must not be waited for.
async function lookAtOthers(periodic) {
    const v = periodic.variables, silent = ngx.shared.silent;
    await Promise.all(v.edges.split(',').filter((edge) => edge !== v.this_edge).map(async (edge) => {
        try {
            const reply = await ngx.fetch(`http://${edge}/healthz`);
            if (reply.ok) silent.delete(edge);
            else silent.set(edge, 'yes');
        } catch (error) {
            silent.set(edge, 'yes');
        }
    }));
}

// The revision now, of what is given of a file behind a door; where no replica answers, the last one
// known, so that what is cached is served.
async function current(r, path) {
    const known = ngx.shared.revisions, started = Date.now();
    const patience = known.has(path) ? PATIENCE_WITH_STALE : PATIENCE;
    r.variables.asked_path = path;
    for (let tries = 0; Date.now() - started < patience; tries++) {
        const reply = await r.subrequest('/_ask_revision');
        if (reply.status === 204) {
            const revision = reply.headersOut['X-Revision'] || '';
            // Of a storage that is away, what is cached is served.
            if (reply.headersOut['X-Unavailable']) return known.get(path) || '';
            if (revision) known.set(path, revision);
            else known.delete(path);
            return revision;
        }
        // Any status below 500 is an answer, and the same the next time: what is wrong with the
        // request, the service tells who asked.
        if (reply.status < 500) return '';
        await sleep(pauseAfter(tries));
    }
    if (!known.has(path)) throw new Error(`no replica tells the revision of ${path}`);
    return known.get(path);
}

// How a block comes into the cache, and why no viewer notices that a replica died: nginx cannot take
// back an answer that it has begun. So an answer begins when its block is there, whole. Each request
// for a block that is not cached waits here. One of them fetches it by a HEAD subrequest, for which
// nginx asks the service with GET and writes the cache, but holds no body and needs no viewer: one who
// leaves does not waste what is under way. If the replica dies, the next is asked. The others look
// after 20 ms whether it is there, and then more and more rarely (proxy_cache_lock: every 500 ms).
// What it costs: the first byte of a cold block waits for its last.
// What cannot be given from the cache is refused: a stream that broke off in the midst of a block
// would, in an answer of several, be followed by the next block. The request is then the service's.
// On a full disk, where all that would be waiting for nothing, it is so at once, and for a while. That the
// disk is full is never concluded from blocks that break off, as one file may be the reason: hasRoom.
// Where another edge keeps the block, that one is asked first, and the service at once if it does not
// give it: nobody waits for an edge as for a replica. Either way it is then in the cache of what is
// borrowed, which is small and forgets within minutes, so that an owner who comes back has its blocks
// to itself again.
async function fill(r) {
    const v = r.variables, flights = ngx.shared.flights, started = Date.now();
    v.lender = r.headersIn['X-Lender'] || '';
    v.keeping = v.lender ? 'borrowed' : 'blocks';
    const key = `${v.keeping} ${v.request_uri}|${r.headersIn['Range']}`;
    let cutShort = 0, incomplete = 0, queued = false, charged = false;
    for (let tries = 0; ;) {
        const waited = Date.now() - started;
        const state = flights.get(key);
        if (state === 'there' || state === 'lent') {
            if (queued) {
                v.brought = state === 'lent' ? 'PEER' : '';
                r.internalRedirect('@cached');
                return;
            }
            flights.delete(key); // who comes now has missed it: it has gone again
            continue;
        }
        if (state === 'uncached' || isFull(v.keeping) || waited > LONGEST_FLIGHT) break;
        if (state === 'failed' && waited > PATIENCE) break;
        if (state !== undefined || !flights.add(key, 'under way')) {
            queued = true;
            await sleep(Math.min(20 + waited / 10, 500));
            continue;
        }
        if (!charged && !mayFill(r)) {
            flights.delete(key);
            ngx.shared.counts.incr('over_limit', 1, 0);
            break;
        }
        charged = true;
        const reply = await r.subrequest('/_fetch', { method: 'HEAD' });
        flights.delete(key);
        const status = reply.headersOut['X-Status'];
        if (v.lender && status !== '206') {
            ngx.shared.counts.incr('refused', 1, 0);
            if (status === '502') ngx.shared.silent.set(edgeOf(v), 'yes');
            v.lender = '';
            continue;
        }
        if (status === undefined) {
            if (reply.status < 500) break; // refused by the writer's nginx: no such request
            // The writer was ended: the replica died, the file changed or cannot be read, or the disk is full.
            cutShort += 1;
            if (!await hasRoom(v)) flights.set(`full ${v.keeping}`, 'yes', DISK_REST);
            else if (cutShort > MOST_CUT_SHORT) flights.set(key, 'uncached', BLOCK_REST);
        } else if (status === '206') {
            if (reply.headersOut['X-Cache'] === 'HIT') {
                flights.set(key, v.brought ? 'lent' : 'there', KNOWN);
                r.internalRedirect('@cached');
                return;
            }
            ngx.shared.counts.incr(v.lender ? 'edge' : 'service', 1, 0);
            v.brought = v.lender && reply.headersOut['X-Lent'] === 'HIT' ? 'PEER' : '';
            // It came: it is there if the next try hits. Of a file that changed a moment ago nothing
            // is kept, and what will not stay is not fetched for ever.
            incomplete += 1;
            const kept = reply.headersOut['X-Kept'] === 'yes';
            if (!kept || incomplete > MOST_INCOMPLETE) flights.set(key, 'uncached', BLOCK_REST);
        } else if (Number(status) < 500) {
            break; // no such block
        } else if (Date.now() - started > PATIENCE) {
            flights.set(key, 'failed', KNOWN);
            break; // no such service
        } else {
            await sleep(pauseAfter(tries++));
        }
    }
    r.return(503);
}

// Whether the disk of a cache was found full a moment ago.
function isFull(keeping) {
    return ngx.shared.flights.has(`full ${keeping}`);
}

// Test whether the disk of the cache has room for one more block, by writing a file as long as a block with
// its header, and removing it. What is written is random, as file systems may compress it. Also true
// where that was tested within ROOM_KNOWN, and nothing was found wrong.
async function hasRoom(v) {
    if (!ngx.shared.flights.add(`room ${v.keeping}`, 'tested', ROOM_KNOWN)) return true;
    const name = `${CACHES}/${v.keeping}/room.${ngx.worker_id}`;
    const chunk = globalThis.crypto.getRandomValues(new Uint8Array(CHUNK));
    let file;
    try {
        file = await fs.promises.open(name, 'w');
        for (let left = Number(v.block_size) + CHUNK, chunks = 1; left > 0; chunks++) {
            left -= (await file.write(chunk)).bytesWritten;
            if (chunks % CHUNKS_AT_ONCE === 0) await sleep(0);
        }
        await file.close();
        return true;
    } catch (error) {
        ngx.log(ngx.WARN, `no room for a block in ${name}: ${error}`);
        if (file) await file.close().catch(() => undefined);
        return false;
    } finally {
        await fs.promises.unlink(name).catch(() => undefined);
    }
}

// Fetches a block for fill, in a request of its own: when a block ends early or cannot be written, nginx
// ends the request that the subrequest belongs to, whatever else it had to do. This one then gives no
// answer.
async function write(r) {
    const lender = r.headersIn['X-Lender'] || '';
    r.variables.lender = lender;
    const reply = await r.subrequest(lender ? '/_borrow' : '/_write', { method: 'HEAD' });
    r.headersOut['X-Status'] = `${reply.status}`;
    // Whether the other edge had it.
    r.headersOut['X-Lent'] = lender ? reply.headersOut['X-Cache'] : '';
    // add_header leaves subrequests alone.
    r.headersOut['X-Cache'] = reply.variables.upstream_cache_status;
    // Of a file that was written to a moment ago: service/protocol/plan.py.
    r.headersOut['X-Kept'] = /immutable/.test(reply.headersOut['Cache-Control']) ? 'yes' : 'no';
    r.return(204);
}

// The name of the edge that is to be asked.
function edgeOf(v) {
    return v.edges.split(',')[Number(v.lender.slice('edge_'.length))];
}

// Content-Disposition of a download, in the service's words: service/protocol/disposition.py.
function disposition(r) {
    const name = r.uri.slice(r.uri.lastIndexOf('/') + 1);
    const fallback = Array.from(name, (c) => SAFE_IN_FALLBACK.test(c) ? c : '_').join('');
    // RFC 8187 3.2.1, attr-char: encodeURIComponent escapes some of it, and not all that is outside.
    const encoded = encodeURIComponent(name)
        .replace(/['()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())
        .replace(/%(23|24|26|2B|5E|60|7C)/g, decodeURIComponent);
    return `attachment; filename="${fallback}"; filename*=UTF-8''${encoded}`;
}

function counted(name) {
    return ngx.shared.counts.get(name) || 0;
}

// The edge's own metrics in Prometheus' text format.
async function metrics(r) {
    const status = await r.subrequest('/stub_status');
    const counts = status.responseText.match(/(\d+) (\d+) (\d+)/); // accepted, handled, requests
    const v = r.variables;
    const others = v.edges ? v.edges.split(',').filter((edge) => edge !== v.this_edge) : [];
    const silent = others.filter((edge) => ngx.shared.silent.has(edge)).length;
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
    r.return(200, [
        '# TYPE reelay_edge_connections_accepted_total counter',
        `reelay_edge_connections_accepted_total ${counts[1]}`,
        '# TYPE reelay_edge_connections_handled_total counter',
        `reelay_edge_connections_handled_total ${counts[2]}`,
        '# TYPE reelay_edge_requests_total counter',
        `reelay_edge_requests_total ${counts[3]}`,
        '# TYPE reelay_edge_connections gauge',
        `reelay_edge_connections{state="active"} ${v.connections_active}`,
        `reelay_edge_connections{state="reading"} ${v.connections_reading}`,
        `reelay_edge_connections{state="writing"} ${v.connections_writing}`,
        `reelay_edge_connections{state="waiting"} ${v.connections_waiting}`,
        '# TYPE reelay_edge_blocks_total counter',
        `reelay_edge_blocks_total{source="service"} ${counted('service')}`,
        `reelay_edge_blocks_total{source="edge"} ${counted('edge')}`,
        '# TYPE reelay_edge_blocks_over_limit_total counter',
        `reelay_edge_blocks_over_limit_total ${counted('over_limit')}`,
        '# TYPE reelay_edge_refusals_total counter',
        `reelay_edge_refusals_total ${counted('refused')}`,
        '# TYPE reelay_edge_others gauge',
        `reelay_edge_others{state="up"} ${others.length - silent}`,
        `reelay_edge_others{state="silent"} ${silent}`,
        '',
    ].join('\n'));
}

export default {
    asAsked, blockRange, contentRangeFromBase, contentRangeOfFile, dispatch, fill, keepingPart,
    lookAtOthers, metrics, notePart, noteTaken, partIsPending, waitForPart, write,
};
