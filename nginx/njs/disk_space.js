// Whether the disk of a cache has room for another block.

import fs from 'fs';
import retry from './retry.js';

// The folder of the caches on disk. Each cache may be a disk of its own.
const CACHES = '/var/cache/nginx';
// Milliseconds for which nothing is stored after a disk was found full.
const FULL_TTL = 30000;
// Milliseconds between two tests of a disk.
const TEST_INTERVAL = 1000;
// The test writes chunks of so many bytes, and lets other requests run after so many chunks.
const CHUNK = 65536;
const CHUNKS_PER_TURN = 16;

// Return whether the disk of a cache was found full a moment ago.
function isFull(zone) {
    return ngx.shared.disks.has(`full ${zone}`);
}

function markFull(zone) {
    ngx.shared.disks.set(`full ${zone}`, 'yes', FULL_TTL);
}

// Test whether there is room for a block. Returns true without a test if there was one within TEST_INTERVAL.
async function hasRoom(v) {
    return !ngx.shared.disks.add(`tested ${v.cache_zone}`, 'yes', TEST_INTERVAL) || canStore(v);
}

// Return whether a file as long as a block with its header can be written, and remove it. Its bytes are random, as
// file systems may compress.
async function canStore(v) {
    const folder = v.cache_zone === 'memory' ? v.memory_folder : `${CACHES}/${v.cache_zone}`;
    const name = `${folder}/room.${ngx.worker_id}`;
    const chunk = globalThis.crypto.getRandomValues(new Uint8Array(CHUNK));
    let file;
    try {
        file = await fs.promises.open(name, 'w');
        for (let left = Number(v.block_size) + CHUNK, chunks = 1; left > 0; chunks++) {
            left -= (await file.write(chunk)).bytesWritten;
            if (chunks % CHUNKS_PER_TURN === 0) await retry.sleep(0);
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

export default { canStore, hasRoom, isFull, markFull };
