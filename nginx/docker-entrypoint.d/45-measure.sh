#!/bin/sh
# Run next to nginx: measure what njs/metrics.js cannot. These are, every 15 seconds, the space on the disk of each
# cache; and once a minute, as it reads all folders, the size of the caches.
set -u
measured=/run/nginx/measured

space() { # space FOLDER: print the size of its disk and what is available, in KiB; zeros if it is not there
    df --output=size,avail --block-size=1K "$1" 2>/dev/null | tail -n 1 | grep . || echo 0 0
}

measure() {
    turn=0
    while :; do
        [ $((turn % 4)) -ne 0 ] || size=$(du -sk /var/cache/nginx | cut -f 1)
        turn=$((turn + 1))
        printf '%s %s %s\n' "${size:-0}" "$(space /var/cache/nginx/blocks)" \
            "$(space /var/cache/nginx/peer_cache)" >"$measured.new" && mv "$measured.new" "$measured"
        sleep 15
    done
}

# nginx replaces the entrypoint's shell; this process ends with the container.
measure </dev/null &
