#!/bin/sh
# Beside nginx: takes a changed certificate, whoever changed it, without a restart. A pair that
# nginx could not serve is reported and left alone; what was loaded before goes on being served.
set -u
certificate=/etc/nginx/tls/fullchain.pem
key=/etc/nginx/tls/privkey.pem
pause=${CERTIFICATE_PAUSE:-5} # seconds; the tests have less of it

fingerprint() { # of the bytes: a link that leads elsewhere is a change, a new time stamp is none
    cat "$certificate" "$key" 2>&1 | sha256sum
}

log() { # log EVENT FIELD VALUE
    value=$(printf '%s' "$3" | tr -c '[:print:]' ' ' | cut -c 1-1000 | sed 's/["\\]/\\&/g')
    printf '{"timestamp":"%s","event":"%s","%s":"%s"}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" "$value"
}

wrong() { # says what is wrong with the pair, if anything is
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
    # And nginx's own opinion, which is the one that counts.
    told=$(nginx -t -q 2>&1) || echo "${told:-nginx -t fails}"
}

watch() {
    taken=$(fingerprint) seen=$taken refused=
    while sleep "$pause"; do
        now=$(fingerprint)
        if [ "$now" != "$seen" ]; then # whoever writes has that long for both files
            seen=$now
            continue
        fi
        if [ "$now" = "$taken" ]; then
            refused=
            continue
        fi
        problem=$(wrong)
        # A pair that changed meanwhile is looked at again.
        [ "$now" = "$(fingerprint)" ] || continue
        if [ -z "$problem" ]; then
            problem=$(nginx -s reload 2>&1) && problem=
        fi
        if [ -z "$problem" ]; then
            taken=$now refused=
            log certificate_taken certificate \
                "$(openssl x509 -in "$certificate" -noout -serial -enddate 2>&1)"
        elif [ "$now" != "$refused" ]; then
            refused=$now
            log certificate_refused reason "$problem"
        fi
    done
}

# Of the entrypoint's shell nothing is left when nginx takes its place: this goes on beside it and
# ends with the container.
watch </dev/null &
