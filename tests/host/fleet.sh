# The fleet of 58-fleet.sh: a desk with jitctl alone, where alice asks and carol and dave approve; db1 and db2 in segment db, web1 in
# segment web; and a host that carries, with nginx and an etcd. And the four kinds of source, each with the same verbs. Sourced
# after lib.sh and faults.sh.
# shellcheck shell=bash disable=SC2154,SC2034

# --- hosts --------------------------------------------------------------------------------------------------------------

# Nobody but rescue logs in without a grant, who approves neither.
fleet_policy() {
  cat <<'END_OF_POLICY'
[defaults]
max_duration = "1h"

[people.carol]
users = ["carol"]
principals = ["carol@example.org"]
[people.dave]
users = ["dave"]
principals = ["dave@example.org"]

[approvers]
leads = ["carol", "dave"]
revokers = ["carol"]

[roles.db-login]
description = "Log in"
eligible = ["alice"]
opens = ["login"]
[[roles.db-login.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[roles.operator]
description = "Operate the host"
eligible = ["alice"]
groups = ["ops"]
opens = ["sudo"]
dangerous = true
[[roles.operator.sudo]]
as = "root"
commands = ["/usr/bin/id"]
password = false
[[roles.operator.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[roles.reader]
description = "Read what the group db may"
eligible = ["alice"]
groups = ["db"]
[[roles.reader.rules]]
then = "review"
approvals = [ { by = "leads", count = 1 } ]

[[gates]]
name = "login"
services = ["sshd"]
users = ["*"]
except = ["root", "rescue"]
mode = "enforce"

[[gates]]
name = "sudo"
services = ["sudo", "sudo-i"]
users = ["*"]
except = ["root", "rescue"]
mode = "enforce"
END_OF_POLICY
}

desk_root() { lab run "$desk" "$@"; }
desk_as() { local who=$1; shift; lab run "$desk" runuser -l "$who" -c "$*"; }
# ctl WHO ARGS: jitctl as somebody at the desk, by the desk's clock.
clock=
ctl() { local who=$1; shift; desk_as "$who" "$clock jitctl $*"; }
# desk_clock MS: how far the desk's clock is ahead.
desk_clock() {
  clock=
  [[ $1 -ne 0 ]] || return 0
  desk_root fault clock "$1" 0
  clock="env LD_PRELOAD=/usr/lib/jit-fault.so"
}

# The desk: jitctl, and keys that are nowhere else.
raise_desk() {
  boot desk
  desk=$host
  install_packages "$JIT_DIST"/jitctl_*.deb
  fault_library
  root sh -c 'mkdir -p /run/jit && fault make && chmod 666 /run/jit/.fault'
  local who
  for who in alice carol dave; do
    root runuser -l "$who" -c "rm -f .ssh/id_ed25519*; ssh-keygen -q -t ed25519 -N '' -C $who -f .ssh/id_ed25519
      printf 'StrictHostKeyChecking accept-new\nLogLevel ERROR\n' >.ssh/config; mkdir -p .config/jit"
    root cp "/home/$who/.ssh/id_ed25519.pub" "/tmp/$who.pub"
  done
  root chmod 644 /tmp/alice.pub /tmp/carol.pub /tmp/dave.pub
}

# raise NAME SEGMENT: a host of the fleet, which knows those people's keys, and whom the desk knows; becomes $host.
raise() {
  local who
  boot "$1"
  install_packages "$JIT_DIST"/{libpam-jit,jitctl,jitd,jitd-sync}_*.deb
  put /etc/jit/jitd.toml <<<"segments = [\"$2\"]"
  set_policy "$(fleet_policy)"
  root rm -f /home/carol/.ssh/id_ed25519 /home/dave/.ssh/id_ed25519
  for who in alice carol dave; do
    desk_root cat "/tmp/$who.pub" | put "/tmp/$who.pub"
  done
  for who in carol dave; do ok "$host trusts $who" root jitctl trust add "/tmp/$who.pub" --principal "$who@example.org"; done
  ok "and that alice asks" root jitctl trust add /tmp/alice.pub --principal alice --file requesters
  quietly root sh -c '/usr/libexec/jit/gate-lines enforce sshd && /usr/libexec/jit/gate-lines enforce sudo' || stop_here "gate lines are written"
  within_time 20 at alice "jitctl --json roles | grep -q reader" || stop_here "jitd takes the policy"
  root jitctl enrol 2>/dev/null | lab run "$desk" tee "/tmp/$host.line" >/dev/null
  quietly desk_root jitctl trust add-host "/tmp/$host.line"
  ok "the desk knows $host by the key that it has" grep -qF "$(root ssh-keygen -lf /var/lib/jit/host_key.pub | cut -d' ' -f2)" <<<"$last_output"
}

# The host that carries: nginx with PUT and etcd with users, both with certificates of the test's own CA.
raise_carrier() {
  carrier=carrier$((RANDOM % 900 + 100))
  hosts+=("$carrier")
  quietly lab up "$carrier" "$server_base" || stop_here "host $carrier boots"
  quietly certificates || stop_here "certificates are made"
  lab run "$carrier" install -d -m 755 /srv/tls
  lab run "$carrier" install -d -m 755 -o www-data -g www-data /srv/mail /srv/mail/mail
  local file
  for file in ca.pem server.pem server.key; do lab push "$carrier" "$work/$file" "/srv/tls/$file"; done
  lab run "$carrier" tee /etc/nginx/nginx.conf >/dev/null <<'END_OF_NGINX'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 200; }
http {
  access_log /var/log/nginx/access.log;
  root /srv/mail;
  # Who approves or asks writes to hosts, a host what it says itself.
  map "$ssl_client_s_dn $uri" $may {
    default no;
    "~^CN=(alice|carol|dave) /mail/to/" yes;
    "~^CN=(?<name>[a-z0-9]+) /mail/from/\k<name>/" yes;
  }
  map "$request_method $may" $forbidden { default 1; "~^(GET|HEAD) " 0; "~ yes$" 0; }
  server {
    listen 8443 ssl;
    ssl_certificate /srv/tls/server.pem;
    ssl_certificate_key /srv/tls/server.key;
    ssl_client_certificate /srv/tls/ca.pem;
    ssl_verify_client on;
    location / {
      if ($forbidden) { return 403; }
      dav_methods PUT DELETE MKCOL;
      create_full_put_path on;
      client_body_temp_path /srv/mail/.part;
    }
  }
}
END_OF_NGINX
  lab run "$carrier" sh -c 'install -o etcd /srv/tls/server.key /srv/tls/etcd.key && chmod 600 /srv/tls/*.key && cat >/etc/default/etcd' <<END_OF_ETCD
ETCD_NAME=e1
ETCD_DATA_DIR=/var/lib/etcd/default
ETCD_INITIAL_CLUSTER=e1=http://127.0.0.1:2380
ETCD_LISTEN_CLIENT_URLS=https://$(lab addr "$carrier"):2379,https://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=https://$(lab addr "$carrier"):2379
ETCD_LISTEN_PEER_URLS=http://127.0.0.1:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://127.0.0.1:2380
ETCD_CERT_FILE=/srv/tls/server.pem
ETCD_KEY_FILE=/srv/tls/etcd.key
ETCD_BCRYPT_COST=4
END_OF_ETCD
}

# From two hours before now, so that clocks which are behind take them, too.
certificates() {
  cd "$work" || return 1
  : >index.txt
  printf '[ca]\ndefault_ca=it\n[it]\ndatabase=index.txt\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\ncopy_extensions=copy
default_days=20\ncertificate=ca.pem\nprivate_key=ca.key\nunique_subject=no\n[any]\ncommonName=optional\n' >ca.conf
  key ca /CN=test -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign &&
    openssl ca -batch -config ca.conf -selfsign -keyfile ca.key "${early[@]}" -in ca.csr -out ca.pem -notext &&
    signed server "$carrier" serverAuth,clientAuth "DNS:$carrier,IP:$(lab addr "$carrier"),IP:127.0.0.1"
}
early=(-startdate "$(date -u -d '-2 hours' +%Y%m%d%H%M%SZ)")
key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" "${@:3}"; }
# signed FILE NAME USES [SAN]: a certificate of that name.
signed() {
  (cd "$work" && key "$1" "/CN=$2" -addext "extendedKeyUsage=$3" ${4:+-addext "subjectAltName=$4"} &&
    openssl ca -batch -config ca.conf "${early[@]}" -in "$1.csr" -out "$1.pem" -notext)
}

fleet() { echo "$db1" "$db2" "$web1"; }
# on_each FUNCTION ARGS...: with each host of the fleet as $host, in turn; false when it was for one.
on_each() { local before=$host all=0; for host in $(fleet); do "$@" || all=1; done; host=$before; return $all; }
segment_of() { if [[ $1 == "$web1" ]]; then echo web; else echo db; fi; }

# --- kinds of source ----------------------------------------------------------------------------------------------------
#
# open_KIND     from now on documents go by it alone; $source is what jitctl wants to be told, $near for db1 alone
# apart_KIND    db1 cannot reach it, or take what it brings, while the desk can
# down_KIND     nobody can
# up_KIND       everybody can again
# back_KIND     what db1 needs after a boot
# throw_KIND HOST NAME   what comes on standard input, into the box of that host, as somebody who may write there

# db1 FUNCTION...: with db1 as $host.
at_db1() { local before=$host status=0; host=$db1; "$@" || status=$?; host=$before; return $status; }
pairs() { while [[ $# -gt 0 ]]; do printf '%s = "%s"\n' "$1" "$2"; shift 2; done; }
# goes_by KEY VALUE...: the host's configuration, with this as its source; without anything, with none.
goes_by() {
  {
    echo "segments = [\"$(segment_of "$host")\"]"
    [[ $# -eq 0 ]] || { printf '\n[[sources]]\n'; pairs name fleet poll 1s "$@"; }
  } | put /etc/jit/jitd.toml.new
  root mv /etc/jit/jitd.toml.new /etc/jit/jitd.toml
}
# private FILE...: from the machine to the host, for jitd-sync to read and nobody else.
private() {
  local file
  root install -d -m 755 /etc/jit/sync
  for file; do
    root sh -c 'umask 077; cat >"$1" && chgrp _jit-sync "$1" && chmod 640 "$1"' sh "/etc/jit/sync/${file##*/}" <"$file"
  done
}
# belongings WHO FILE...: the same for somebody at the desk.
belongings() {
  local who=$1 file; shift
  for file; do
    desk_root sh -c 'umask 077; cat >"$2" && chown "$1:" "$2"' sh "$who" "/home/$who/.config/jit/${file##*/}" <"$file"
  done
}
# knows WHO KEY VALUE...: one more source of theirs.
knows() {
  local who=$1; shift
  { printf '\n[[sources]]\n'; pairs "$@"; } | desk_root runuser -l "$who" -c 'cat >>.config/jit/approver.toml'
}

# A folder at the desk, which hosts have as if by a network.
attach() {
  local leader; leader=$(pgrep -P "$(cat "$LAB/host-$host/pid")" | head -1)
  root mkdir -p /srv/mail
  # A copy of the mount, from here into the host: open_tree(2), move_mount(2).
  perl -e '
    my ($from, $leader) = @ARGV;
    my $tree = syscall(428, -100, $from, 1);
    $tree >= 0 or die "open_tree: $!\n";
    my $put = q{my ($empty, $tree, $to) = ("", @ARGV); syscall(429, $tree + 0, $empty, -100, $to, 4) == 0 or die "move_mount: $!\n"};
    exec "nsenter", "-t", $leader, "-m", "--", "perl", "-e", $put, $tree, "/srv/mail";
  ' "$LAB/host-$desk/root/srv/mail" "$leader"
}
detach() { root umount -l /srv/mail; }
open_folder() {
  source="--source folder" near=$source
  desk_root jitctl source init-folder /srv/mail || return 1
  local h who
  for h in $(fleet); do
    desk_root install -d -m 1777 "/srv/mail/to/$h"
    desk_root install -d -m 755 -o "$(lab run "$h" id -u _jit-sync)" "/srv/mail/from/$h"
  done
  for h in db web; do desk_root install -d -m 1777 "/srv/mail/to/segment/$h"; done
  for who in alice carol dave; do knows "$who" name folder url /srv/mail; done
  on_each attach && on_each goes_by url /srv/mail
}
apart_folder() { at_db1 detach; }
down_folder() { local h; for h in "$db2" "$web1"; do lab run "$h" umount -l /srv/mail; done; desk_root mv /srv/mail /srv/away; }
up_folder() { desk_root mv /srv/away /srv/mail && on_each attach; }
back_folder() { attach; }
throw_folder() { desk_root sh -c 'cat >"/srv/mail/to/$1/.$2.new" && chmod 644 "/srv/mail/to/$1/.$2.new" && mv "/srv/mail/to/$1/.$2.new" "/srv/mail/to/$1/$2"' sh "$@"; }

# Anything on the carrier: db1 apart from it hears nothing more, not even that.
apart_carrier() { lab run "$carrier" ip route add blackhole "$(lab addr "$db1")"; }
together() { lab run "$carrier" ip route del blackhole "$(lab addr "$db1")" 2>/dev/null; true; }

open_https() {
  source="--source https" near=$source
  lab run "$carrier" systemctl start nginx || return 1
  local who
  for who in alice carol dave $(fleet); do signed "$who" "$who" clientAuth || return 1; done
  for who in alice carol dave; do
    belongings "$who" "$work"/{ca.pem,"$who.pem","$who.key"}
    local home=/home/$who/.config/jit
    knows "$who" name https poll 1s url "https://$carrier:8443/mail" ca "$home/ca.pem" certificate "$home/$who.pem" key "$home/$who.key"
  done
  on_each https_at
}
https_at() {
  private "$work"/{ca.pem,"$host.pem","$host.key"}
  goes_by url "https://$carrier:8443/mail" ca /etc/jit/sync/ca.pem certificate "/etc/jit/sync/$host.pem" key "/etc/jit/sync/$host.key"
}
apart_https() { apart_carrier; }
down_https() { lab run "$carrier" systemctl stop nginx; }
up_https() { together; lab run "$carrier" systemctl start nginx; }
back_https() { true; }
throw_https() {
  lab run "$carrier" runuser -u www-data -- sh -c 'mkdir -p "$1" && cd "$1" && cat >"$2" && for file in *.jit; do
    echo "$(sha256sum <"$file" | cut -d" " -f1) $(stat -c %s "$file") $file"; done | LC_ALL=C sort -k3 >.index && mv .index index' sh "/srv/mail/mail/to/$1" "$2"
}

init() { desk_root jitctl source init "etcd+https://$carrier:2379/jit" --ca /root/ca.pem --admin-password-file /root/root.password "$@"; }
open_etcd() {
  source="--source etcd" near=$source
  lab run "$carrier" systemctl start etcd || return 1
  lab push "$desk" "$work/ca.pem" /root/ca.pem
  init --enable-auth || return 1
  local who on=() h
  for h in $(fleet); do
    init --host "$h" --segment "$(segment_of "$h")" -o "/root/$h.password" || return 1
    desk_root cat "/root/$h.password" >"$work/$h.password"
    on+=(--on "$h")
  done
  init --asker alice "${on[@]}" -o /root/alice.password && init --approver carol -o /root/carol.password && init --approver dave -o /root/dave.password || return 1
  for who in alice carol dave; do
    desk_root cat "/root/$who.password" >"$work/$who.password"
    belongings "$who" "$work"/{ca.pem,"$who.password"}
    local user=jit/approver/$who home=/home/$who/.config/jit
    [[ $who != alice ]] || user=jit/asker/alice
    knows "$who" name etcd url "etcd+https://$carrier:2379/jit" ca "$home/ca.pem" user "$user" password_file "$home/$who.password"
  done
  on_each etcd_at
}
etcd_at() {
  private "$work"/{ca.pem,"$host.password"}
  goes_by url "etcd+https://$carrier:2379/jit" ca /etc/jit/sync/ca.pem user "jit/host/$host" password_file "/etc/jit/sync/$host.password"
}
apart_etcd() { apart_carrier; }
down_etcd() { lab run "$carrier" systemctl stop etcd; }
up_etcd() { together; lab run "$carrier" systemctl start etcd; }
back_etcd() { true; }
throw_etcd() {
  lab run "$carrier" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /srv/tls/ca.pem \
    --user "root:$(desk_root cat /root/root.password)" put "jit/to/$1/$2"
}

# The mailbox of each host: what comes is in the inbox at once, and db1 is apart from it while jitd does not run.
open_ssh() {
  source="--source ssh://jit@$db1 --source ssh://jit@$db2 --source ssh://jit@$web1"
  near="--source ssh://jit@$db1"
  on_each goes_by && on_each root jitctl source ssh on
}
apart_ssh() { lab run "$db1" systemctl stop jitd.service; }
down_ssh() { local h; for h in $(fleet); do lab run "$h" systemctl stop ssh.service; done; }
up_ssh() { local h; for h in $(fleet); do lab run "$h" systemctl start ssh.service; done; lab run "$db1" systemctl start jitd.service; }
back_ssh() { true; }
throw_ssh() { desk_root runuser -l carol -c "cat >thrown && { echo put \$(stat -c %s thrown); cat thrown; echo quit; } | ssh -T jit@$1"; }
