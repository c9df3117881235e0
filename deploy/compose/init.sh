#!/bin/sh
# Run once at each start of the compose file, as root without other capabilities
# than to give files away: prepares the volumes and ends.
set -eu
umask 077

# The users of Jaeger's and the Collector's images.
chown 10001:10001 /volumes/jaeger /volumes/otel-collector

# Grafana takes the password when it creates its database, that is once.
password=/volumes/grafana-secrets/admin_password
if [ ! -e "$password" ]; then
    head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$password.new"
    chmod 400 "$password.new"
    echo "Grafana: user admin, password $(cat "$password.new")"
    chown 472:0 "$password.new"
    mv "$password.new" "$password"
fi

# Secrets of the user's own are copied for the one who has to read them, so that
# nobody else needs to be able to.
if [ -d /secrets ]; then
    for name in pagerduty_routing_key slack_api_url webhook_url watchdog_url; do
        if [ ! -s "/secrets/$name" ]; then
            echo "The folder named by SOCKSCOPE_SECRETS has no $name, or it is empty." >&2
            exit 1
        fi
        rm -f "/volumes/alertmanager-secrets/$name"
        cp "/secrets/$name" "/volumes/alertmanager-secrets/$name"
        chmod 400 "/volumes/alertmanager-secrets/$name"
        chown 65534:65534 "/volumes/alertmanager-secrets/$name"
    done
fi
