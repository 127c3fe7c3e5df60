#!/bin/bash
# Run once by the ClickHouse image on an empty volume, after roles.sql: the users that log in, with passwords from secrets.
# Passwords go through standard input, never through a command line.
set -euo pipefail

secret() {
    local value
    value="$(cat "/run/secrets/$1")"
    if [[ ! "$value" =~ ^[A-Za-z0-9_-]{16,}$ ]]; then
        echo "users.sh: the secret $1 must be 16 or more letters, digits, - or _: run deploy/make-secrets.sh" >&2
        return 1
    fi
    printf '%s' "$value"
}

owner="$(secret clickhouse_password)"
dashboard="$(secret clickhouse_dashboard_password)"
feedback="$(secret clickhouse_feedback_password)"
analyst="$(secret clickhouse_analyst_password)"

clickhouse client --multiquery <<SQL
CREATE USER IF NOT EXISTS voxpop IDENTIFIED WITH sha256_password BY '$owner' HOST ANY;
GRANT ALL ON voxpop.* TO voxpop;
ALTER USER voxpop_dashboard IDENTIFIED WITH sha256_password BY '$dashboard' HOST ANY;
ALTER USER voxpop_feedback IDENTIFIED WITH sha256_password BY '$feedback' HOST ANY;
ALTER USER voxpop_analyst IDENTIFIED WITH sha256_password BY '$analyst' HOST ANY;
SQL
