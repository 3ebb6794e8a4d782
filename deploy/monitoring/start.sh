#!/bin/sh
# Write Prometheus' configuration from the settings, and start it. Each name may lead to several addresses.
set -eu
umask 077
configuration=/tmp/prometheus.yml

each() { # each LIST FORMAT: print name and port of each entry of the list by the format
    printf '%s' "$1" | tr -s ', ' '\n' | while read -r entry || [ -n "$entry" ]; do
        # shellcheck disable=SC2059 # the formats are those below
        [ -z "$entry" ] || printf "$2" "${entry%:*}" "${entry##*:}"
    done
}

job() { # job NAME PATH LIST
    printf '  - job_name: %s\n    metrics_path: %s\n    dns_sd_configs:\n' "$1" "$2"
    each "$3" '      - {names: ["%s"], type: A, port: %s, refresh_interval: 15s}\n'
}

{
    printf 'global: {scrape_interval: 15s, evaluation_interval: 15s}\nrule_files: [/etc/prometheus/rules.yml]\n'
    if [ -n "${REELAY_ALERTMANAGERS:-}" ]; then
        printf 'alerting:\n  alertmanagers:\n    - dns_sd_configs:\n'
        each "$REELAY_ALERTMANAGERS" '        - {names: ["%s"], type: A, port: %s}\n'
    fi
    printf 'scrape_configs:\n'
    job reelay-service /metrics "${REELAY_REPLICAS:-}"
    if [ -n "${REELAY_METRICS_TOKEN:-}" ]; then
        printf '%s' "$REELAY_METRICS_TOKEN" >/tmp/token
        printf '    authorization: {credentials_file: /tmp/token}\n'
    fi
    job reelay-edge /edge/metrics "${REELAY_EDGE_METRICS:-}"
} >"$configuration"

# With two targets, 15 days take less than 200 MB.
exec prometheus --config.file="$configuration" --storage.tsdb.path=/prometheus \
    --storage.tsdb.retention.time=15d --storage.tsdb.retention.size=2GB \
    --enable-feature=exemplar-storage --log.format=json
