// The credential by which the edges of a library know each other, and the service knows them: of the requests that they
// send themselves. njs/access_state.js derives it from the key.

import accessRules from './access_rules.js';
import constantTime from './constant_time.js';

function credential() {
    return ngx.shared.access.get('credential') || '';
}

// Return '1' for a request to another edge's port that does not come from an edge of this library; '' if the library
// is open to everybody.
function isForeign(r) {
    if (accessRules.current() === accessRules.OPEN) return '';
    const own = credential();
    return own && constantTime.isEqual(own, own, r.headersIn['X-Reelay-Edge'] || '') ? '' : '1';
}

export default { credential, isForeign };
