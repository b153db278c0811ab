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

# etcd speaks to whoever has a certificate of this authority, whose key is not kept: one certificate for all, ten years.
if ! [ -e etcd-ca.crt ] || ! [ -e etcd.crt ] || ! [ -e etcd.key ]; then
    cat >"$work/openssl.cnf" <<'CONFIGURATION'
[req]
distinguished_name = name
prompt = no
[name]
CN = emco-etcd
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[certificate]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:etcd, DNS:localhost, IP:127.0.0.1
CONFIGURATION
    for name in authority etcd; do
        openssl ecparam -name prime256v1 -genkey -noout -out "$work/$name.key"
    done
    openssl req -x509 -new -config "$work/openssl.cnf" -extensions authority -subj "/CN=emco-etcd authority" -days 3650 -sha256 \
        -key "$work/authority.key" -out "$work/etcd-ca.crt"
    openssl req -new -config "$work/openssl.cnf" -key "$work/etcd.key" -out "$work/etcd.csr"
    openssl x509 -req -in "$work/etcd.csr" -CA "$work/etcd-ca.crt" -CAkey "$work/authority.key" -set_serial 1 \
        -extfile "$work/openssl.cnf" -extensions certificate -days 3650 -sha256 -out "$work/etcd.crt" 2>/dev/null
    for name in etcd-ca.crt etcd.crt etcd.key; do keep "$name"; done
fi
