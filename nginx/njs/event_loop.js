// How late the events of nginx's workers are handled, and whether a worker is overloaded.
//
// A worker handles one event after another. If the processors are busy, or a disk is slow, a timer fires late, by about
// as much as a request waits that arrives now.

// Milliseconds between two measurements (templates/edge.conf.template).
const INTERVAL = 250;
// Weight of a new measurement in the moving average, which so follows within two seconds.
const WEIGHT = 0.2;
// Connections with a response in progress, of all workers, below which none is overloaded. A slow disk delays a single
// viewer, too, and to refuse that viewer would help nobody.
const MIN_RESPONSES = 64;

// Update the average delay of this worker.
function measure() {
    const now = Date.now(), load = ngx.shared.load, worker = ngx.worker_id;
    const before = load.get(`measured ${worker}`);
    load.set(`measured ${worker}`, now);
    if (before === undefined) return;
    const delay = Math.max(0, now - before - INTERVAL);
    load.set(`delay ${worker}`, (1 - WEIGHT) * averageDelay(worker) + WEIGHT * delay);
}

// Return the average delay of a worker in milliseconds.
function averageDelay(worker) {
    return ngx.shared.load.get(`delay ${worker}`) || 0;
}

// Return the numbers of the workers.
function workers() {
    const name = 'delay ';
    return ngx.shared.load.keys().filter((key) => key.startsWith(name)).map((key) => key.slice(name.length)).sort();
}

// Return whether this worker is overloaded: REELAY_OVERLOAD_DELAY. With 50 players on 0.15 of a core, two thirds of what it
// carries, the delay is 25 ms; with 100, more than it carries, it is 100 ms (benchmarks/crowd.py, 2026-12-01).
function isOverloaded(v) {
    const max = Number(v.overload_delay);
    return max > 0 && averageDelay(ngx.worker_id) > max && Number(v.connections_writing) >= MIN_RESPONSES;
}

export default { averageDelay, isOverloaded, measure, workers };
