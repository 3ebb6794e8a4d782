// The edge's own metrics, in Prometheus' text format.

import blockOwner from './block_owner.js';
import fs from 'fs';
import delivery from './delivery.js';

// What njs/delivery.js tells apart.
const SOURCES = ['hit', 'peer', 'miss', 'wait', 'bypass', 'none'];
const OUTCOMES = ['complete', 'cut_short', 'refused', 'failed'];

// Add one to a counter: "service" and "edge" (blocks by source), "refused" (by peers), "over_limit".
function count(name) {
    ngx.shared.counters.incr(name, 1, 0);
}

function counter(name) {
    return ngx.shared.counters.get(name) || 0;
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
    const lines = [`# TYPE ${responses} counter`];
    SOURCES.forEach((source) => OUTCOMES.forEach((outcome) => {
        const count = counter(`responses ${source} ${outcome}`);
        lines.push(`${responses}{source="${source}",outcome="${outcome}"} ${count}`);
    }));
    lines.push(`# TYPE ${bytes} counter`);
    SOURCES.forEach((source) => lines.push(`${bytes}{source="${source}"} ${counter(`bytes ${source}`)}`));
    return lines.concat(
        [`# TYPE ${cold} histogram`],
        histogram(cold, 'source="miss"', 'cold miss', delivery.COLD_BOUNDS),
        histogram(cold, 'source="wait"', 'cold wait', delivery.COLD_BOUNDS),
        [`# TYPE ${ratio} histogram`],
        histogram(ratio, '', 'ratio', delivery.RATIO_BOUNDS),
    );
}

// Return the bytes of the caches on disk, and when the certificate expires, in seconds since the epoch; zeros
// where that is not known: docker-entrypoint.d/45-measure.sh writes it.
function measured() {
    try {
        return fs.readFileSync('/run/nginx/measured', 'utf8').split(' ').map(Number);
    } catch (error) {
        return [0, 0]; // not yet
    }
}

async function metrics(r) {
    const status = await r.subrequest('/stub_status');
    const counts = status.responseText.match(/(\d+) (\d+) (\d+)/); // accepted, handled, requests
    const v = r.variables, peers = blockOwner.peers(v);
    const down = peers.filter((edge) => ngx.shared.down_peers.has(edge)).length;
    const measurements = measured();
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
    r.return(200, [
        '# TYPE reelay_edge_build_info gauge',
        `reelay_edge_build_info{nginx="${v.nginx_version}"} 1`,
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
        `reelay_edge_blocks_total{source="service"} ${counter('service')}`,
        `reelay_edge_blocks_total{source="edge"} ${counter('edge')}`,
        '# TYPE reelay_edge_blocks_over_limit_total counter',
        `reelay_edge_blocks_over_limit_total ${counter('over_limit')}`,
        '# TYPE reelay_edge_refusals_total counter',
        `reelay_edge_refusals_total ${counter('refused')}`,
        '# TYPE reelay_edge_others gauge',
        `reelay_edge_others{state="up"} ${peers.length - down}`,
        `reelay_edge_others{state="silent"} ${down}`,
        '# TYPE reelay_edge_cache_bytes gauge',
        `reelay_edge_cache_bytes ${measurements[0] * 1024}`,
        '# TYPE reelay_edge_certificate_expiry_timestamp_seconds gauge',
        `reelay_edge_certificate_expiry_timestamp_seconds ${measurements[1]}`,
    ].concat(deliveryLines(), ['']).join('\n'));
}

export default { count, metrics };
