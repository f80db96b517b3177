#!/bin/bash
# Many hosts on one etcd, all on this machine: in a network, process and mount namespace of their own, so that the
# kernel ends all of it with this script. Prints a table; asserts nothing. As root. fleet.cpp says what is measured.
#
#   tests/bench/fleet.sh [HOSTS] [tls] [KEY=VALUE]...      default 1000
#
# tls: with TLS, and each host logs in as itself. KEY: posts, idle, down, start, process, see fleet.cpp. etcd is the one
# of this machine, or Debian's package, unpacked into a temporary folder. Where a process may have no more than 20000
# descriptors, 9500 hosts is the most.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
fleet=$top/build/bench/tests/bench/fleet
[[ -x $fleet ]] || {
  echo "tests/bench/fleet.sh: build it first: cmake --preset bench && cmake --build build/bench --target fleet" >&2
  exit 1
}
hosts=1000
[[ ! ${1:-} =~ ^[0-9]+$ ]] || { hosts=$1; shift; }

if [[ -z ${JIT_FLEET_WORK:-} ]]; then
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/fleet.XXXXXX")   # on a disk: etcd waits for it
  trap 'rm -rf "$work"' EXIT
  if ! command -v etcd >/dev/null; then   # installing it would start a service
    (cd "$work" && apt-get -qq download etcd-server && dpkg-deb -x etcd-server_*.deb .)
    PATH=$PATH:$work/usr/bin
  fi
  # The kernel ends all of it with this process, however that ends.
  JIT_FLEET_WORK=$work setpriv --pdeathsig KILL \
    unshare --net --pid --mount --fork --kill-child --mount-proc "$0" "$hosts" "$@"
  exit
fi

work=$JIT_FLEET_WORK
server=10.99.0.1 client=10.99.0.2
scheme=http keys=() etcd=()
ulimit -n "$(ulimit -Hn)"
mount -t tmpfs fleet /run
mkdir /run/netns /run/fleet
ip link set lo up
ip netns add etcd
ip link add hosts type veth peer name etcd netns etcd
ip address add $client/24 dev hosts && ip link set hosts up
ip netns exec etcd sh -c "ip link set lo up; ip address add $server/24 dev etcd; ip link set etcd up"
echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range

if [[ ${1:-} == tls ]]; then
  shift
  scheme=https keys=(auth=1 ca="$work/ca.pem")
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=fleet CA" \
      -keyout "$work/ca.key" -out "$work/ca.pem" -addext basicConstraints=critical,CA:TRUE \
      -addext keyUsage=critical,keyCertSign
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=member \
      -keyout "$work/e.key" -out "$work/e.csr"
    openssl x509 -req -in "$work/e.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
      -out "$work/e.pem" -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:%s\n' $server)
  } 2>"$work/openssl.log" || { cat "$work/openssl.log"; exit 1; }
  etcd=(--cert-file "$work/e.pem" --key-file "$work/e.key" --bcrypt-cost 4)
fi
echo "$(etcd --version | head -1), $scheme, $(nproc) cores for etcd and all hosts," \
  "load $(cut -d' ' -f1 /proc/loadavg)"
"$fleet" "$hosts" /run/fleet "etcd+$scheme://$server:2379/jit" http://$server:2381 hosts "${keys[@]}" "$@" -- \
  ip netns exec etcd etcd --name e1 --data-dir "$work/data" --listen-client-urls $scheme://$server:2379 \
  --advertise-client-urls $scheme://$server:2379 --listen-peer-urls http://127.0.0.1:2380 \
  --listen-metrics-urls http://$server:2381 \
  --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster e1=http://127.0.0.1:2380 "${etcd[@]}" || {
  tail -5 /run/fleet/etcd.log; exit 1; }
