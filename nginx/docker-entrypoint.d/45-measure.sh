#!/bin/sh
# Run next to nginx: measure once a minute what njs/metrics.js cannot, the size of the caches on disk and when the
# certificate expires.
set -u
measured=/run/nginx/measured

measure() {
    while :; do
        size=$(du -sk /var/cache/nginx | cut -f 1)
        end=$(openssl x509 -in /etc/nginx/tls/fullchain.pem -noout -enddate 2>/dev/null | cut -d = -f 2)
        expiry=$([ -n "$end" ] && date -u -d "$end" +%s)
        printf '%s %s\n' "${size:-0}" "${expiry:-0}" >"$measured.new" && mv "$measured.new" "$measured"
        sleep 60
    done
}

# nginx replaces the entrypoint's shell; this process ends with the container.
measure </dev/null &
