#!/usr/bin/env bash
# OpenSSH 9.2 (Debian 12's openssh-client 1:9.2p1-2+deb12u10) and OpenSSL 3.0 (openssl 3.0.20-1~deb12u2): of the
# private keys that `openssl genpkey` writes, all in one container (PKCS#8, "BEGIN PRIVATE KEY"), ssh-keygen
# and ssh read those on P-256 and RSA, and not the Ed25519 ones, which are whole and which openssl reads. The
# message, "invalid format", does not tell which kind it misses. A P-256 key in the older container (SEC 1, "BEGIN EC
# PRIVATE KEY") is read even without its public half, which ssh-keygen -y then computes.
#
# Seen: a key that is made once for several programs cannot be of that kind. Fails if that changes. Needs apt and
# Debian 12; changes nothing on the machine.
set -euo pipefail
place=$(mktemp -d /var/tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get download -q "openssh-client=1:9.2p1-2+deb12u10" "openssl=3.0.20-1~deb12u2" >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
openssl=root/usr/bin/openssl keygen=root/usr/bin/ssh-keygen
umask 077
$openssl genpkey -algorithm ed25519 -out ed25519 2>/dev/null
$openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa 2>/dev/null
$openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256 2>/dev/null
$openssl ec -in p256 -no_public -out p256-bare 2>/dev/null
# what ssh-keygen makes of each: the kind of its public half, or the last words of the error
kind() { { $keygen -y -f "$1" 2>&1 || true; } | tr -d '\r' | sed -E 's/^([a-z0-9-]+) AAAA.*/\1/; s/.*: //'; }
whole=$($openssl pkey -in ed25519 -pubout 2>/dev/null | head -n 1)
said=$(for key in ed25519 rsa p256 p256-bare; do echo "$key $(head -n 1 $key | tr -d -): $(kind $key)"; done; echo "openssl: $whole")
echo "$said"
expected='ed25519 BEGIN PRIVATE KEY: invalid format
rsa BEGIN PRIVATE KEY: ssh-rsa
p256 BEGIN PRIVATE KEY: ecdsa-sha2-nistp256
p256-bare BEGIN EC PRIVATE KEY: ecdsa-sha2-nistp256
openssl: -----BEGIN PUBLIC KEY-----'
[ "$said" = "$expected" ] || { echo "changed, or cannot be tried here" >&2; exit 1; }
