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
    volume=/volumes/alertmanager-secrets
    # give NAME reads a secret from its input.
    give() {
        cat >"$volume/$1.new"
        chmod 400 "$volume/$1.new"
        chown 65534:65534 "$volume/$1.new"
        mv "$volume/$1.new" "$volume/$1"
    }
    for secret in /secrets-of-the-desk/* /secrets/*; do
        if [ ! -e "$secret" ]; then continue; fi # an empty folder
        if [ ! -s "$secret" ]; then
            echo "${secret##*/} in the folder that SOCKSCOPE_SECRETS names is empty." >&2
            exit 1
        fi
        give "${secret##*/}" <"$secret"
    done
    # What the environment has comes before the files.
    if [ -n "${SOCKSCOPE_PAGERDUTY_ROUTING_KEY:-}" ]; then printf %s "$SOCKSCOPE_PAGERDUTY_ROUTING_KEY" | give pagerduty_routing_key; fi
    if [ -n "${SOCKSCOPE_SLACK_API_URL:-}" ]; then printf %s "$SOCKSCOPE_SLACK_API_URL" | give slack_api_url; fi
    if [ -n "${SOCKSCOPE_WATCHDOG_URL:-}" ]; then printf %s "$SOCKSCOPE_WATCHDOG_URL" | give watchdog_url; fi

    # With a routing key of one's own, PagerDuty is meant, not the desk.
    if cmp -s "$volume/pagerduty_routing_key" /secrets-of-the-desk/pagerduty_routing_key; then
        give alertmanager.yml </alertmanager.yml
    else
        sed '/^  pagerduty_url: /d' /alertmanager.yml | give alertmanager.yml
    fi
fi
