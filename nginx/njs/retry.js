// Waiting between tries.

// Milliseconds for which a block, or a revision, is requested again while no replica answers: longer
// than a replica takes to restart.
const RETRY_TIMEOUT = 10000;

function sleep(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Return the milliseconds to wait after so many tries: few at first, as another replica usually answers.
function backoff(tries) {
    return Math.min(25 * Math.pow(2, tries), 1000);
}

export default { RETRY_TIMEOUT, backoff, sleep };
