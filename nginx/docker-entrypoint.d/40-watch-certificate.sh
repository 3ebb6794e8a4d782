#!/bin/sh
# Run next to nginx: when the certificate or key changes, reload nginx. A pair that nginx cannot serve is
# reported, and the one loaded before stays in use. njs/metrics.js reads what is written of both.
set -u
certificate=/etc/nginx/tls/fullchain.pem
key=/etc/nginx/tls/privkey.pem
written=/run/nginx/certificate
pause=${CERTIFICATE_PAUSE:-5} # seconds; tests use fewer

fingerprint() { # of the bytes: a new target of a link is a change, a new time stamp is not
    cat "$certificate" "$key" 2>&1 | sha256sum
}

log() { # log EVENT FIELD VALUE
    value=$(printf '%s' "$3" | tr -c '[:print:]' ' ' | cut -c 1-1000 | sed 's/["\\]/\\&/g')
    printf '{"timestamp":"%s","event":"%s","%s":"%s"}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" "$value"
}

seconds() { # seconds DATE: print the start or end of the certificate in seconds since 1970, 0 if it is not known
    date=$(openssl x509 -in "$certificate" -noout "-$1" 2>/dev/null | cut -d = -f 2)
    [ -n "$date" ] && date -u -d "$date" +%s || echo 0
}

read_dates() { # of the certificate that nginx has just loaded
    start=$(seconds startdate)
    end=$(seconds enddate)
}

write() { # write REFUSED: 1 if the pair in the folder is refused, so that another one is served
    printf '%s %s %s\n' "$start" "$end" "$1" >"$written.new" && mv "$written.new" "$written"
}

find_problem() { # print what is wrong with the pair, if anything
    openssl x509 -in "$certificate" -noout -checkend 0 >/dev/null 2>&1 || {
        echo "$certificate: has expired, or holds no certificate"
        return
    }
    of_certificate=$(openssl x509 -in "$certificate" -noout -pubkey 2>&1)
    of_key=$(openssl pkey -in "$key" -pubout 2>&1 </dev/null) || {
        echo "$key: $of_key"
        return
    }
    [ "$of_certificate" = "$of_key" ] || {
        echo "$key: is not the key of $certificate"
        return
    }
    # Anything else that nginx would refuse.
    message=$(nginx -t -q 2>&1) || echo "${message:-nginx -t fails}"
}

watch() {
    loaded=$(fingerprint) seen=$loaded refused=
    read_dates
    write 0
    while sleep "$pause"; do
        now=$(fingerprint)
        if [ "$now" != "$seen" ]; then # time to write both files
            seen=$now
            continue
        fi
        if [ "$now" = "$loaded" ]; then
            [ -z "$refused" ] || write 0
            refused=
            continue
        fi
        problem=$(find_problem)
        # A pair that changed meanwhile is checked again.
        [ "$now" = "$(fingerprint)" ] || continue
        if [ -z "$problem" ]; then
            problem=$(nginx -s reload 2>&1) && problem=
        fi
        if [ -z "$problem" ]; then
            loaded=$now refused=
            read_dates
            write 0
            log certificate_taken certificate \
                "$(openssl x509 -in "$certificate" -noout -serial -enddate 2>&1)"
        elif [ "$now" != "$refused" ]; then
            refused=$now
            write 1
            log certificate_refused reason "$problem"
        fi
    done
}

# nginx replaces the entrypoint's shell; this process goes on in the background and ends with the container.
watch </dev/null &
