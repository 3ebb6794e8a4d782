// The cache in memory, where blocks are kept that are not written to disk (REELAY_CACHE_MIN_USES).
//
// nginx's cache manager looks after each cache only every ten seconds, in which a fast client fills the memory. So
// room is made here, before a block is fetched: the blocks that were fetched first are removed. ngx.shared.in_memory has
// those that are kept, each with the number of its fetch.

import crypto from 'crypto';
import fs from 'fs';

// What nginx takes for a block of another version, and ignores: docker-entrypoint.d/10-settings.envsh makes it.
const NO_BLOCK = '/run/nginx/no_block';

// Make room for a block that is about to be fetched, or that has been.
function add(v, block) {
    const kept = ngx.shared.in_memory, most = Number(v.memory_blocks);
    if (kept.has(block)) return;
    if (kept.size() >= most) {
        const oldest = kept.items().sort((a, b) => a[1] - b[1]);
        oldest.slice(0, oldest.length - most + 1).forEach((entry) => remove(v, entry[0]));
    }
    kept.set(block, ngx.shared.counters.incr('memory', 1, 0));
}

function forget(block) {
    ngx.shared.in_memory.delete(block);
}

// Remove all blocks. Those that are being sent take memory until their viewers have them.
function empty(v) {
    ngx.shared.in_memory.keys().forEach((block) => remove(v, block));
}

// Remove a block. A link takes the place of its file, as nginx logs an error for each file that is gone when it
// removes the entry itself, after some minutes.
function remove(v, block) {
    const name = crypto.createHash('md5').update(block).digest('hex'); // as nginx names it
    const file = `${v.memory_folder}/${name}`, link = `${v.memory_folder}/link.${ngx.worker_id}`;
    forget(block);
    try {
        fs.statSync(file);
        fs.symlinkSync(NO_BLOCK, link);
        fs.renameSync(link, file);
    } catch (error) {
        if (error.code === 'ENOENT') return;
        ngx.log(ngx.WARN, `block ${name} stays in memory for some minutes: ${error}`);
        fs.promises.unlink(link).catch(() => undefined);
    }
}

export default { add, empty, forget };
