"""Settings of real proxies that break films, and the problems that `check` names."""

from service.check.results import FailedError, Problem, State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget

# What is found for ranges in Varnish's tutorials, without `hash_data(req.http.X-Range)`.
_BY_URL_ALONE = """
sub vcl_recv { set req.http.X-Range = req.http.Range; unset req.http.Range; return (hash); }
sub vcl_backend_fetch { if (bereq.http.X-Range) { set bereq.http.Range = bereq.http.X-Range; } }
sub vcl_backend_response {
    if (beresp.status == 206) {
        set beresp.http.X-Content-Range = beresp.http.Content-Range;
        unset beresp.http.Content-Range;
        set beresp.status = 200;
    }
    set beresp.ttl = 1h;
    return (deliver);
}
sub vcl_deliver {
    if (resp.http.X-Content-Range) {
        set resp.http.Content-Range = resp.http.X-Content-Range;
        set resp.status = 206;
    }
}
"""

# Varnish 7.1 fails then to judge several ranges. It may use the connection again with the rest of
# that response in it, and fail at the next one as well: so each request has its own connection.
_PASSED = """
sub vcl_recv { return (pass); }
sub vcl_backend_fetch { set bereq.http.Connection = "close"; }
"""

BADLY: list[tuple[str, str, set[Problem]]] = [
    ("HAProxy", "http-request del-header Range", {Problem.RANGE_DROPPED}),
    ("HAProxy", "http-request del-header If-Range", {Problem.IF_RANGE_IGNORED}),
    ("HAProxy", "http-response del-header ETag", {Problem.ETAG_MISSING}),
    ("HAProxy", "http-response set-status 200 if { status 206 }", {Problem.STATUS_REWRITTEN}),
    ("HAProxy", "http-request deny deny_status 405 if METH_HEAD", {Problem.HEAD_REFUSED}),
    (
        "HAProxy",
        "http-response set-header Cache-Control max-age=86400",
        {Problem.CACHE_CONTROL_REWRITTEN},
    ),
    ("HAProxy", "compression algo gzip\n    compression type video/mp4", {Problem.COMPRESSED}),
    (
        "Varnish",
        "sub vcl_backend_response { set beresp.do_gzip = true; }",
        {Problem.LENGTH_MISSING},
    ),
    (
        "Varnish",
        'sub vcl_recv { set req.url = regsub(req.url, "[?].*", ""); }',
        {Problem.QUERY_DROPPED, Problem.CACHE_CONTROL_REWRITTEN},
    ),
    ("Varnish", _PASSED, {Problem.RANGE_REFUSED}),
    ("Varnish", _BY_URL_ALONE, {Problem.PARTIAL_CACHED}),
    ("Apache", "RequestHeader unset If-Range", {Problem.IF_RANGE_IGNORED}),
    ("Apache", "SetOutputFilter DEFLATE", {Problem.COMPRESSED}),
    ("Apache", 'Header edit ETag "^" "W/"', {Problem.ETAG_WEAK}),
    ("Caddy", "reverse_proxy UPSTREAM {\nheader_up -Range\n}", {Problem.RANGE_DROPPED}),
    (
        "Caddy",
        "encode {\ngzip\nmatch {\nheader Content-Type video/*\n}\n}\nreverse_proxy UPSTREAM",
        {Problem.COMPRESSED},
    ),
]


def problems(options: Options) -> dict[Problem, str]:
    """Return what `check` finds to be wrong, and how it says so."""
    try:
        session = connect(options, (), Budget(64 * 1024**2, 300))
    except FailedError as error:
        return {error.problem: str(error)}
    found = run(session)
    return {one.problem: one.detail for one in found if one.state == State.FAILED and one.problem}
