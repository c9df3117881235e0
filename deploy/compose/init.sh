#!/bin/sh
# Run once at each start of the compose file, as root without other capabilities
# than to give files away: prepares the volumes and ends.
set -eu
umask 077

# The users of Jaeger's and the Collector's images, and the one that VictoriaLogs is given.
for volume in jaeger otel-collector victoria-logs; do
    if [ -d "/volumes/$volume" ]; then
        chown 10001:10001 "/volumes/$volume"
    fi
done

# Nothing is scraped of the profile "scale" unless it is used: scale-targets then puts this file there again.
rm -f /volumes/scale-targets/scale.yaml

# The instances of that profile have to take each other's tokens.
key=/volumes/scale-key/key
if [ ! -e "$key" ]; then
    head -c 48 /dev/urandom | base64 >"$key.new"
    chmod 400 "$key.new"
    chown 65532:65532 "$key.new"
    mv "$key.new" "$key"
fi

# Grafana takes the password when it creates its database, that is once.
password=/volumes/grafana-secrets/admin_password
if [ ! -e "$password" ]; then
    head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$password.new"
    chmod 400 "$password.new"
    echo "Grafana: user admin, password $(cat "$password.new")"
    chown 472:0 "$password.new"
    mv "$password.new" "$password"
fi

# Secrets of one's own replace the desk's. They are copied for the one user who
# has to read them, so that the originals need to be readable by nobody else.
if [ -d /secrets ]; then
    if [ ! -s /secrets/pagerduty_routing_key ]; then
        echo "No pagerduty_routing_key in the folder that SOCKSCOPE_SECRETS names, or an empty one." >&2
        exit 1
    fi
    for secret in /secrets-of-the-desk/* /secrets/*; do
        copy="/volumes/alertmanager-secrets/${secret##*/}"
        cp "$secret" "$copy.new"
        chmod 400 "$copy.new"
        chown 65534:65534 "$copy.new"
        mv "$copy.new" "$copy"
    done
fi
