// Ranges of responses that a joiner puts together: it counts from the response's first block, while
// blocks and clients count from the beginning of the file.

// Return a Range or Content-Range value with all its positions moved by so many bytes.
function shifted(text, bytes) {
    return text.replace(/\d+/g, (position) => String(Number(position) + bytes));
}

// Return the reader's Range, counted from the beginning of the file.
function blockRange(r) {
    return shifted(r.headersIn['Range'], Number(r.headersIn['X-Range-Base']));
}

// Return the reader's Content-Range, counted from the response's first block.
function contentRangeFromBase(r) {
    return shifted(r.variables.upstream_http_content_range || '', -Number(r.headersIn['X-Range-Base']));
}

// Return the client's Content-Range, counted from the beginning of the file.
function contentRangeOfFile(r) {
    return shifted(r.variables.upstream_http_content_range || '', Number(r.variables.range_base));
}

export default { blockRange, contentRangeFromBase, contentRangeOfFile, shifted };
