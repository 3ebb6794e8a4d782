#!/bin/sh
# Use the mounted certificate, or make a self-signed one. The latter is kept, so that users accept it in their
# browsers only once, and renewed when it has less than a month left.
set -eu
folder=/etc/nginx/tls
certificate=$folder/fullchain.pem
key=$folder/privkey.pem
made_here=$folder/made-by-the-edge

if [ -e "$certificate" ] || [ -e "$key" ]; then
    for file in "$certificate" "$key"; do
        if [ ! -r "$file" ]; then
            echo "$file: is missing, or user $(id -u) cannot read it" >&2
            exit 2
        fi
    done
    [ -e "$made_here" ] || exit 0
    # The operator may have replaced it by another one.
    issuer=$(openssl x509 -in "$certificate" -noout -issuer -nameopt RFC2253) || exit 0
    [ "$issuer" = issuer=CN=Reelay ] || exit 0
    name=$(cat "$made_here")
    month=2592000 # seconds
    if [ "$name" = "${REELAY_HOSTNAME:-localhost}" ] &&
        openssl x509 -in "$certificate" -noout -checkend "$month" >/dev/null; then
        exit 0
    fi
fi
if [ ! -w "$folder" ]; then
    echo "$folder: has no fullchain.pem and privkey.pem, and user $(id -u) cannot write there" >&2
    exit 2
fi
name=${REELAY_HOSTNAME:-localhost}
case $name in
    *[!0-9.]*) alternative=DNS:$name ;;
    *) alternative=IP:$name ;;
esac
case $name in
    '' | .* | -* | *..* | *[!A-Za-z0-9.-]*)
        echo "REELAY_HOSTNAME='$name': should be a host name such as video.example.org" >&2
        exit 2
        ;;
esac
echo "making a self-signed certificate for $name"
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 \
    -subj /CN=Reelay -addext "subjectAltName=$alternative,DNS:localhost,IP:127.0.0.1,IP:::1" \
    -addext "extendedKeyUsage=serverAuth" \
    -keyout "$key.new" -out "$certificate.new"
mv "$key.new" "$key"
mv "$certificate.new" "$certificate"
printf '%s' "$name" >"$made_here"
