#!/bin/sh
# Run next to nginx: write its error log to standard error, without the tokens of share links. nginx's own messages
# have the request line and the referrer, so no setting of nginx keeps tokens out.
set -eu
pipe=/run/nginx/errors
rm -f "$pipe" # of a killed container whose folder survives, as in a pod
mkfifo "$pipe"

# A token has its identity in its third part: snippets/access-log.conf does the same. What is after /s/ in any other
# spelling is left out, and so is the query of /sign-in/callback. Opened for reading and writing, so that nginx never waits for a reader.
exec sed -u -E \
    -e 's#(/sign-in/[^ "?]*)\?[^ "]*#\1#g' \
    -e 's#1\.[0-9]{1,11}\.([A-Za-z0-9_-]{16})\.[A-Za-z0-9_.-]*#\1#g' \
    -e 's#(/|%(25)*2[Ff])([sS]|%(25)*73)(/|%(25)*2[Ff])([^ "/?&%]{17,}|[^ "/?&%]*%[^ "/?&]*)#/s/…#g' \
    <>"$pipe" >&2 &
