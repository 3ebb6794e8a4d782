// The edge's own metrics, in Prometheus' text format.

import blockOwner from './block_owner.js';
import fs from 'fs';
import delivery from './delivery.js';
import eventLoop from './event_loop.js';

// What njs/delivery.js tells apart.
const SOURCES = ['hit', 'peer', 'miss', 'wait', 'bypass', 'none'];
const OUTCOMES = ['complete', 'cut_short', 'refused', 'failed'];
// The caches whose disks docker-entrypoint.d/45-measure.sh measures, in its order.
const CACHES = ['blocks', 'peer_cache'];

// Add one to a counter: "service" and "edge" (blocks by source), "refused" (by peers), "over_limit",
// "overloaded".
function count(name) {
    ngx.shared.counters.incr(name, 1, 0);
}

function counter(name) {
    return ngx.shared.counters.get(name) || 0;
}

// Return the lines that begin a metric: what it is, and its type.
function head(metric, type, help) {
    return [`# HELP ${metric} ${help}`, `# TYPE ${metric} ${type}`];
}

// Return the lines of a metric without labels.
function single(metric, type, help, value) {
    return head(metric, type, help).concat(`${metric} ${value}`);
}

// Return the lines of a histogram that delivery.js counts. `labels` are as in the text format.
function histogram(metric, labels, name, bounds) {
    const lines = [], comma = labels ? ',' : '', braces = labels ? `{${labels}}` : '';
    let count = 0;
    bounds.concat(['+Inf']).forEach((bound, bucket) => {
        count += counter(`${name} ${bucket}`);
        lines.push(`${metric}_bucket{${labels}${comma}le="${bound}"} ${count}`);
    });
    lines.push(`${metric}_sum${braces} ${counter(`${name} sum`)}`, `${metric}_count${braces} ${count}`);
    return lines;
}

function deliveryLines() {
    const responses = 'reelay_edge_media_responses_total', bytes = 'reelay_edge_media_sent_bytes_total';
    const cold = 'reelay_edge_cold_block_seconds', ratio = 'reelay_edge_delivery_ratio';
    const lines = head(responses, 'counter', 'Responses of media and downloads');
    SOURCES.forEach((source) => OUTCOMES.forEach((outcome) => {
        const count = counter(`responses ${source} ${outcome}`);
        lines.push(`${responses}{source="${source}",outcome="${outcome}"} ${count}`);
    }));
    lines.push.apply(lines, head(bytes, 'counter', 'Bytes of their bodies'));
    SOURCES.forEach((source) => lines.push(`${bytes}{source="${source}"} ${counter(`bytes ${source}`)}`));
    return lines.concat(
        head(cold, 'histogram', 'Time until a block began that was not cached here'),
        histogram(cold, 'source="miss"', 'cold miss', delivery.COLD_BOUNDS),
        histogram(cold, 'source="wait"', 'cold wait', delivery.COLD_BOUNDS),
        head(ratio, 'histogram', 'Time of a response divided by the time for which its bytes play'),
        histogram(ratio, '', 'ratio', delivery.RATIO_BOUNDS),
    );
}

// Return the numbers in a file of /run/nginx; zeros if it is not there yet.
function numbers(file, count) {
    try {
        return fs.readFileSync(`/run/nginx/${file}`, 'utf8').trim().split(/\s+/).map(Number);
    } catch (error) {
        return new Array(count).fill(0);
    }
}

// As docker-entrypoint.d/40-watch-certificate.sh writes it: when the certificate that nginx has loaded begins and
// ends, 0 if that is not known, and whether another one in the folder was refused.
function certificateLines() {
    const certificate = numbers('certificate', 3), prefix = 'reelay_edge_certificate';
    return [].concat(
        single(`${prefix}_not_before_timestamp_seconds`, 'gauge', 'When the certificate in use begins to be valid', certificate[0]),
        single(`${prefix}_expiry_timestamp_seconds`, 'gauge', 'When the certificate in use expires', certificate[1]),
        single(`${prefix}_refused`, 'gauge', '1 if the folder has another certificate, which was refused', certificate[2]),
    );
}

// As docker-entrypoint.d/45-measure.sh writes it: KiB of the caches on disk, and for each of CACHES the KiB of its disk
// and those available.
function diskLines() {
    const measured = numbers('measured', 5), cached = 'reelay_edge_cache_bytes';
    const size = 'reelay_edge_cache_disk_bytes', available = 'reelay_edge_cache_available_bytes';
    const sizes = head(size, 'gauge', 'Size of the disk of a cache');
    const rests = head(available, 'gauge', 'Bytes available on the disk of a cache');
    CACHES.forEach((cache, index) => {
        const disk = measured.slice(1 + 2 * index);
        if (!disk[0]) return;
        sizes.push(`${size}{cache="${cache}"} ${disk[0] * 1024}`);
        rests.push(`${available}{cache="${cache}"} ${disk[1] * 1024}`);
    });
    return single(cached, 'gauge', 'Bytes of the caches on disk', measured[0] * 1024).concat(sizes, rests);
}

function loadLines() {
    const name = 'reelay_edge_event_loop_delay_seconds';
    return head(name, 'gauge', 'How late a worker handles events, a moving average').concat(
        eventLoop.workers().map((worker) => `${name}{worker="${worker}"} ${eventLoop.averageDelay(worker) / 1000}`),
        single('reelay_edge_overload_refusals_total', 'counter', 'Films that were not begun, because a worker was overloaded', counter('overloaded')),
    );
}

async function metrics(r) {
    const status = await r.subrequest('/stub_status');
    const counts = status.responseText.match(/(\d+) (\d+) (\d+)/); // accepted, handled, requests
    const v = r.variables, peers = blockOwner.peers(v);
    const down = peers.filter((edge) => ngx.shared.down_peers.has(edge)).length;
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
    r.return(200, [].concat(
        head('reelay_edge_build_info', 'gauge', 'Always 1'),
        `reelay_edge_build_info{nginx="${v.nginx_version}"} 1`,
        single('reelay_edge_connections_accepted_total', 'counter', 'Connections accepted', counts[1]),
        single('reelay_edge_connections_handled_total', 'counter', 'Connections handled', counts[2]),
        single('reelay_edge_requests_total', 'counter', 'Requests', counts[3]),
        head('reelay_edge_connections', 'gauge', 'Connections by state'),
        ['active', 'reading', 'writing', 'waiting'].map(
            (state) => `reelay_edge_connections{state="${state}"} ${v[`connections_${state}`]}`,
        ),
        head('reelay_edge_blocks_total', 'counter', 'Blocks fetched'),
        `reelay_edge_blocks_total{source="service"} ${counter('service')}`,
        `reelay_edge_blocks_total{source="edge"} ${counter('edge')}`,
        single('reelay_edge_blocks_over_limit_total', 'counter', 'Blocks not cached for the limit of an address', counter('over_limit')),
        single('reelay_edge_refusals_total', 'counter', 'Blocks that another edge did not send', counter('refused')),
        head('reelay_edge_others', 'gauge', 'Other edges by state'),
        `reelay_edge_others{state="up"} ${peers.length - down}`,
        `reelay_edge_others{state="silent"} ${down}`,
        loadLines(),
        certificateLines(),
        diskLines(),
        deliveryLines(),
        '',
    ).join('\n'));
}

export default { count, metrics };
