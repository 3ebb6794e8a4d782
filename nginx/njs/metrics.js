// The edge's own metrics, in Prometheus' text format.

import blockOwner from './block_owner.js';

// Add one to a counter: "service" and "edge" (blocks by source), "refused" (by peers), "over_limit".
function count(name) {
    ngx.shared.counters.incr(name, 1, 0);
}

function counter(name) {
    return ngx.shared.counters.get(name) || 0;
}

async function metrics(r) {
    const status = await r.subrequest('/stub_status');
    const counts = status.responseText.match(/(\d+) (\d+) (\d+)/); // accepted, handled, requests
    const v = r.variables, peers = blockOwner.peers(v);
    const down = peers.filter((edge) => ngx.shared.down_peers.has(edge)).length;
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
        `reelay_edge_blocks_total{source="service"} ${counter('service')}`,
        `reelay_edge_blocks_total{source="edge"} ${counter('edge')}`,
        '# TYPE reelay_edge_blocks_over_limit_total counter',
        `reelay_edge_blocks_over_limit_total ${counter('over_limit')}`,
        '# TYPE reelay_edge_refusals_total counter',
        `reelay_edge_refusals_total ${counter('refused')}`,
        '# TYPE reelay_edge_others gauge',
        `reelay_edge_others{state="up"} ${peers.length - down}`,
        `reelay_edge_others{state="silent"} ${down}`,
        '',
    ].join('\n'));
}

export default { count, metrics };
