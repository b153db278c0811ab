#!/bin/sh
# Makes the secrets of docker-compose.yaml in FOLDER (deploy/compose/secrets): those that are missing, and no other.
# The folder is for its owner alone; the files in it are mounted into containers of another user, who must read them.
set -eu
umask 077

folder=${1:-$(dirname "$0")/secrets}
command -v openssl >/dev/null || { echo "secrets.sh: openssl is needed" >&2; exit 1; }
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
work=$(mktemp -d ./.new.XXXXXX)
trap 'rm -rf "$work"' EXIT

# keep NAME: what was made in $work gets its name, whole or not at all.
keep() {
    chmod 444 "$work/$1"
    mv "$work/$1" "$1"
    echo "made $1"
}

random() {
    [ -e "$1" ] || { openssl rand -hex 32 >"$work/$1" && keep "$1"; }
}

random data-key
random mongo-root-password
random mongo-password
[ -e retired-data-keys ] || { : >"$work/retired-data-keys" && keep retired-data-keys; }
[ -e store-url ] || {
    printf 'mongodb://emco:%s@mongo:27017/emco?authSource=emco\n' "$(cat mongo-password)" >"$work/store-url"
    keep store-url
}

# issue NAME HOST…: an authority, whose key is not kept, and its one certificate, for servers and clients. Ten years.
issue() {
    name=$1
    shift
    if [ -e "$name-ca.crt" ] && [ -e "$name.crt" ] && [ -e "$name.key" ]; then return; fi
    cat >"$work/openssl.cnf" <<CONFIGURATION
[req]
distinguished_name = name
prompt = no
[name]
CN = emco-$name
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[certificate]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = $(printf 'DNS:%s, ' "$@")DNS:localhost, IP:127.0.0.1
CONFIGURATION
    for key in authority "$name"; do
        openssl ecparam -name prime256v1 -genkey -noout -out "$work/$key.key"
    done
    openssl req -x509 -new -config "$work/openssl.cnf" -extensions authority -subj "/CN=emco-$name authority" \
        -days 3650 -sha256 -key "$work/authority.key" -out "$work/$name-ca.crt"
    openssl req -new -config "$work/openssl.cnf" -key "$work/$name.key" -out "$work/$name.csr"
    openssl x509 -req -in "$work/$name.csr" -CA "$work/$name-ca.crt" -CAkey "$work/authority.key" -set_serial 1 \
        -extfile "$work/openssl.cnf" -extensions certificate -days 3650 -sha256 -out "$work/$name.crt" 2>/dev/null
    for file in "$name-ca.crt" "$name.crt" "$name.key"; do keep "$file"; done
}

issue etcd etcd                                  # speaks to whoever has this certificate
issue grpc orchestrator clm dcm ncm rsync        # so do the services with each other
