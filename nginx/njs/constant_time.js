// Comparison of secrets.

import crypto from 'crypto';

function mac(key, text) {
    return crypto.createHmac('sha256', key).update(text).digest('base64url');
}

// Return whether two texts are equal, in a time that tells nothing of the first difference: what is compared are
// their MACs by a secret key, which nobody else can predict.
function isEqual(key, first, second) {
    return mac(key, first) === mac(key, second);
}

export default { isEqual };
