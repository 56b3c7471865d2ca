#!/bin/sh
# A Postgres of a volume of its own: made at the first start; schemas and roles are brought up to date at each.
set -eu
PATH=$PATH:/usr/lib/postgresql/15/bin
data=/data/postgres
export PGPASSWORD="$(cat /etc/busi/secrets/superuser)"
if [ ! -e $data/PG_VERSION ]; then
    rm -rf /data/new
    initdb -D /data/new -U postgres --pwfile=/etc/busi/secrets/superuser -A scram-sha-256 -E UTF8 --locale=C.UTF-8
    echo 'host all all all scram-sha-256' >>/data/new/pg_hba.conf
    mv /data/new $data
fi
pg_ctl -D $data -w -o "-c listen_addresses= -c unix_socket_directories=/tmp" start
psql="psql -X -q -h /tmp -U postgres"
[ "$($psql -Atc "SELECT 1 FROM pg_database WHERE datname = 'busi'")" = 1 ] || $psql -c 'CREATE DATABASE busi'
cat /etc/busi/secrets/roles.sql /etc/busi/bootstrap/bootstrap.sql | $psql -d busi -f -
pg_ctl -D $data -w -m fast stop
unset PGPASSWORD

# SIGTERM would wait for every client to leave
trap 'pg_ctl -D $data -m fast stop' TERM INT
postgres -D $data -c max_connections=200 -c listen_addresses=0.0.0.0 -c unix_socket_directories=/tmp -c TimeZone=UTC &
wait $! || wait $!
