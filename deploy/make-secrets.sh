#!/bin/sh
# Makes the secrets that compose.yaml mounts, each a file of its own in deploy/secrets; those that are there stay as they are.
#     deploy/make-secrets.sh [DIRECTORY]
set -eu
directory="${1:-$(dirname "$0")/secrets}"
mkdir -p "$directory"
chmod 700 "$directory" # nobody else on this machine gets through; the files themselves are read by the containers' users

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -e "$directory/$1" ] || { printf '%s\n' "$2" >"$directory/$1" && chmod 444 "$directory/$1"; }; }

put author_salt "$(random)"
put clickhouse_password "$(random)"
put clickhouse_dashboard_password "$(random)"
put clickhouse_feedback_password "$(random)"
put clickhouse_analyst_password "$(random)"
put escalation_api_key "$(random)" # yours goes here, where an endpoint is asked
put grafana_admin_password "$(random)"
put dashboard_tokens "{\"viewer\": [\"$(random)\"], \"analyst\": [\"$(random)\"], \"admin\": [\"$(random)\"]}"
echo "secrets are in $directory; the dashboard's tokens: $directory/dashboard_tokens"
