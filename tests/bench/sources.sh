#!/bin/bash
# How long it takes from an approver's yes, given elsewhere, to a sudo that works on the host: by each kind of source,
# and beside them a timed sudo rule in LDAP by way of SSSD. Each approval is of a fresh request, at a random moment
# between two looks of whoever polls; the user tries sudo on the host every 20 ms. Prints a table; asserts nothing.
#
#   tests/bench/sources.sh [RUNS] [PART...]    default 20 of each; folder poll ssh https etcd sssd
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/../host/lib.sh"
runs=${1:-20}
shift || true
[[ $# -gt 0 ]] || set -- folder poll ssh https etcd sssd
results=$(mktemp -d)
trap 'code=$?; rm -rf "$results"; (exit "$code"); finish' EXIT

needs() {   # PACKAGE...: on the host of now, without starting what they bring
  quietly root sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d'
  quietly lab apt "$host" update || true
  quietly lab apt "$host" install -y --no-install-recommends "$@" || stop_here "packages: $*"
  root rm -f /usr/sbin/policy-rc.d
}

# --- what is measured with --------------------------------------------------------------------------------------------

# watch.pl USER SECONDS: tries sudo as USER until it works; prints when that was, or what was odd.
watcher() {
  cat <<'END'
use strict; use Time::HiRes qw(time usleep);
my ($user, $limit) = @ARGV; my $began = time; my $tries = 0;
my (undef, undef, $uid, $gid) = getpwnam $user or die "no $user\n";
while (time < $began + $limit) {
  my $next = time + 0.02; my $pid = fork;
  if (!$pid) {
    $) = "$gid $gid"; $( = $gid; $< = $> = $uid;
    open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    exec '/usr/bin/sudo', '-n', '/usr/bin/id'; exit 127;
  }
  waitpid $pid, 0;
  if ($? == 0) { print $tries ? sprintf('%.4f', time) : 'worked before', "\n"; exit }
  $tries++; my $left = $next - time; usleep($left * 1e6) if $left > 0;
}
print "not within $limit s\n";
END
}
# timed.pl CMD...: prints when CMD was started, when it ended, how many ms before that jitctl had sent, and its status.
timer() {
  cat <<'END'
use strict; use Time::HiRes 'time';
my $from = time; open my $said, '-|', @ARGV or die; my $out = join '', <$said>; close $said; my $to = time;
my ($took) = $out =~ /"took_ms": *(\d+)/;
printf "%.4f %.4f %s %d\n", $from, $to, $took // '-', $? >> 8;
print STDERR $out if $?;
END
}
tools() { needs perl "$@"; watcher | put /usr/local/lib/watch.pl; timer | put /usr/local/lib/timed.pl; }

pause() { sleep "$(awk -v most="$1" -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.3f", rand() * most }')"; }

# measure NAME USER HOST CMD...: one run. CMD gives the right, and prints as timed.pl does; USER then has it on HOST. A
# line of results: ms to a sudo that works, from the start of CMD and from when what it sent was there; and from start
# to end of CMD. $lies_at prints when that was, in seconds; empty: when CMD says that it had sent.
lies_at=
measure() {
  local name=$1 user=$2 where=$3 from to took status worked there=; shift 3
  lab run "$where" perl /usr/local/lib/watch.pl "$user" 60 >"$scratch.worked" 2>&1 &
  local watching=$!
  sleep 0.2
  read -r from to took status < <("$@" 2>"$scratch.complaint")
  wait "$watching"
  worked=$(cat "$scratch.worked")
  if [[ ! $worked =~ ^[0-9.]+$ || ${status:-1} -ne 0 ]]; then
    echo "not measured: $name: sudo $worked, status ${status:-?}: $(head -c 300 "$scratch.complaint")" >>"$results/odd"
    return 1
  fi
  [[ -z $lies_at ]] || there=$($lies_at)
  awk -v f="$from" -v t="$to" -v k="$took" -v w="$worked" -v there="$there" 'BEGIN {
    if (there == "") there = k == "-" ? t : t - k / 1000
    printf "%.0f %.0f %.0f\n", (w - f) * 1000, (w - there) * 1000, (t - f) * 1000 }' >>"$results/$name"
}

# --- the host, and the desk where the approver sits -------------------------------------------------------------------

ours() {
  up db "$JIT_DIST"/{libpam-jit,jitctl,jitd,jitd-sync}_*.deb
  db=$host
  tools bindfs fuse3
  root cp /etc/jit/jitd.toml /root/jitd.toml
  root sh -c 'jitctl enrol >/tmp/db.line 2>/dev/null' || stop_here "the host says who it is"
  quietly at carol 'jitctl trust add-host /tmp/db.line' || stop_here "carol takes the host's line"
  local line
  line=$(root cat /tmp/db.line)
  boot desk
  desk=$host
  install_packages "$JIT_DIST"/jitctl_*.deb
  tools nginx-light etcd-server openssl
  put /tmp/db.line <<<"$line"
  quietly at carol 'jitctl trust add-host /tmp/db.line' || stop_here "carol takes the host's line at the desk"
  at carol 'printf "Host *\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n" >.ssh/config'
  certificates
  host=$db
}

# One CA at the desk, for nginx and etcd; the gateway of etcd calls its own server with the server's certificate.
certificates() {
  put /root/certificates <<END
set -e
mkdir -p /srv/tls && cd /srv/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=bench -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=desk -keyout desk.key -out desk.csr
printf 'subjectAltName=DNS:$desk,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >desk.ext
openssl x509 -req -in desk.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile desk.ext -out desk.pem
chmod 644 desk.key
END
  quietly root bash /root/certificates || stop_here "certificates are made"
  root cat /srv/tls/ca.pem | lab run "$db" sh -c 'install -d -m 755 /etc/jit/sync && cat >/etc/jit/sync/ca.pem'
}

# source_of LINES...: the host's one source, given as lines of jitd.toml.
source_of() {
  {
    root cat /root/jitd.toml
    printf '\n[[sources]]\nname = "mail"\n'
    printf '%s\n' "$@"
  } >"$scratch.toml"
  root tee /etc/jit/jitd.toml.new >/dev/null <"$scratch.toml"
  root mv /etc/jit/jitd.toml.new /etc/jit/jitd.toml
  quietly root systemctl restart jitd-sync.service
  within_time 30 source_is good || stop_here "the source is read: $(root cat /var/lib/jit-sync/mail.status)"
}
# The approver's side of it, as lines of approver.toml.
approver_of() {
  {
    printf '[[sources]]\nname = "mail"\n'
    printf '%s\n' "$@"
  } | lab run "$sits" runuser -l carol -c 'mkdir -p .config/jit && cat >.config/jit/approver.toml'
}

carol_runs() { lab run "$sits" runuser -l carol -c "perl /usr/local/lib/timed.pl $*"; }
waits_there() { lab run "$sits" runuser -l carol -c "jitctl --json pending --source $by" | grep -q "$id"; }
# jitd takes thirty a minute of one user.
asks() { request alice operator 5m || { sleep 3; return 1; }; }
over() { ! at_sudo alice && root sh -c 'test -z "$(ls -A /run/jit/sudoers.d)"'; }
# approvals NAME WHERE SOURCE PERIOD: so many requests of alice's, approved by carol, who sits at WHERE, by SOURCE.
approvals() {
  local name=$1 n
  sits=$2 by=$3
  for ((n = 0; n < runs; n++)); do
    within_time 90 asks || stop_here "alice asks"
    within_time 60 waits_there || stop_here "carol sees the request by $by"
    pause "$4"
    measure "$name" alice "$db" carol_runs "jitctl --json approve $id --yes -m fine --source $by --wait 50s"
    quietly root jitctl release --all
    within_time 20 over || stop_here "the grant is given back"
  done
}
# The same with grants that nobody asked for: no request waits, so that nobody looks more often.
unasked() {
  local name=$1 n
  sits=$2 by=$3
  for ((n = 0; n < runs; n++)); do
    pause "$4"
    measure "$name" alice "$db" carol_runs "jitctl --json grant --user alice --role operator --for 5m --on $db -m fine \
      --source $by --wait 50s"
    quietly root jitctl release --all
    within_time 20 over || stop_here "the grant is given back"
  done
}

# --- by each source ---------------------------------------------------------------------------------------------------

# The newest document in the host's box of a folder, by the clock of its file system: it comes there by a rename.
newest_in() { lab run "$sits" sh -c "stat -c %.4Z $1/to/$db/*.jit | sort -n | tail -1"; }
boxes() {   # FOLDER: where carol and the host may each write what is theirs
  root install -d -m 755 "$1" "$1/to" "$1/from"
  root install -d -m 755 -o carol "$1/to/$db"
  root install -d -m 755 -o _jit-sync "$1/from/$db"
}
by_folder() {
  boxes /srv/mail
  source_of 'url = "/srv/mail"'
  lies_at='newest_in /srv/mail'
  approvals folder "$db" /srv/mail 1
}
# A file system that tells of no changes made elsewhere: what the host sees by FUSE, carol writes beneath it.
by_polled_folder() {
  boxes /srv/beneath
  root sh -c 'test -e /dev/fuse || mknod -m 666 /dev/fuse c 10 229'
  root install -d /srv/share
  quietly root bindfs -o allow_other,attr_timeout=0,entry_timeout=0 /srv/beneath /srv/share ||
    stop_here "a FUSE file system"
  source_of 'url = "/srv/share"'
  lies_at='newest_in /srv/beneath'
  approvals poll "$db" /srv/beneath 1
}
by_ssh() {
  quietly root jitctl source ssh on || stop_here "the host's mailbox is open"
  approvals ssh "$desk" "ssh://jit@$db" 1
}
by_https() {
  lab run "$desk" install -d -o www-data -g www-data /srv/mail /srv/mail/.part
  lab run "$desk" tee /etc/nginx/nginx.conf >/dev/null <<'END'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 100; }
http {
  access_log off;
  server {
    listen 443 ssl;
    ssl_certificate /srv/tls/desk.pem;
    ssl_certificate_key /srv/tls/desk.key;
    root /srv/mail;
    dav_methods PUT DELETE MKCOL;
    create_full_put_path on;
    client_body_temp_path /srv/mail/.part;
    client_max_body_size 8m;
  }
}
END
  quietly lab run "$desk" systemctl restart nginx || stop_here "nginx starts"
  sits=$desk
  approver_of "url = \"https://$desk/mail\"" 'ca = "/srv/tls/ca.pem"'
  source_of "url = \"https://$desk/mail\"" 'ca = "/etc/jit/sync/ca.pem"'
  # jitctl goes on to look whether somebody else wrote the index at the same time.
  lies_at='newest_in /srv/mail/mail'
  approvals https "$desk" mail 2
  unasked https-unasked "$desk" mail 15
  source_of "url = \"https://$desk/mail\"" 'ca = "/etc/jit/sync/ca.pem"' 'poll = "2s"'
  unasked https-2s "$desk" mail 2
}
by_etcd() {
  lab run "$desk" sh -c 'cat >>/etc/default/etcd; systemctl restart etcd' <<END || stop_here "etcd starts"
ETCD_NAME=e1
ETCD_LISTEN_CLIENT_URLS=https://0.0.0.0:2379
ETCD_ADVERTISE_CLIENT_URLS=https://$desk:2379
ETCD_CERT_FILE=/srv/tls/desk.pem
ETCD_KEY_FILE=/srv/tls/desk.key
ETCD_BCRYPT_COST=4
END
  local url=etcd+https://$desk:2379/jit init theirs=/home/carol/mail.password ours=/etc/jit/sync/db.password
  init="jitctl source init $url --ca /srv/tls/ca.pem --admin-password-file /root/etcd.root"
  quietly lab run "$desk" sh -c "$init --enable-auth && $init --host $db -o /root/db.password &&
    $init --approver carol -o $theirs && chown carol $theirs" || stop_here "users of etcd are made"
  lab run "$desk" cat /root/db.password | root sh -c "umask 027; cat >$ours; chgrp _jit-sync $ours"
  sits=$desk
  approver_of "url = \"$url\"" 'ca = "/srv/tls/ca.pem"' 'user = "jit/approver/carol"' "password_file = \"$theirs\""
  source_of "url = \"$url\"" 'ca = "/etc/jit/sync/ca.pem"' "user = \"jit/host/$db\"" "password_file = \"$ours\""
  approvals etcd "$desk" mail 1
}

# --- a timed rule in LDAP, by SSSD ------------------------------------------------------------------------------------

ldap_url=ldap://127.0.0.1/
admin=(-x -H "$ldap_url" -D "cn=admin,dc=example,dc=org" -w secret)
ldap() { quietly root "$1" "${admin[@]}"; }
peer() {
  boot peer
  peer=$host
  tools slapd ldap-utils sssd-common sssd-ldap libsss-sudo libnss-sss libpam-sss
  # The schema comes with sudo-ldap, which would take the place of sudo.
  quietly lab apt "$host" -o APT::Sandbox::User=root -o Dir::Cache::archives=/root/ install -y --download-only \
    --no-install-recommends sudo-ldap || stop_here "the schema of sudo"
  quietly root sh -c 'cd /root && dpkg-deb -x sudo-ldap_*.deb sudo-ldap &&
    zcat -f sudo-ldap/usr/share/doc/sudo-ldap/schema.OpenLDAP* >/etc/ldap/schema/sudo.schema &&
    test -s /etc/ldap/schema/sudo.schema' || stop_here "the schema of sudo"
  put /etc/ldap/peer.conf <<'END'
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/sudo.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile /run/slapd/peer.pid
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory /var/lib/peer
index objectClass,uid,uidNumber,gidNumber,sudoUser,modifyTimestamp,entryCSN eq
access to * by * read
END
  root install -d -o openldap -g openldap /run/slapd /var/lib/peer
  quietly root systemd-run --unit=peer-ldap slapd -d 0 -u openldap -g openldap -f /etc/ldap/peer.conf -h "$ldap_url"
  within_time 10 root ldapsearch -x -H "$ldap_url" -b '' -s base || stop_here "slapd answers"
  ldap ldapadd <<'END' || stop_here "people and rules are in LDAP"
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit

dn: ou=sudoers,dc=example,dc=org
objectClass: organizationalUnit

dn: uid=lena,ou=people,dc=example,dc=org
objectClass: account
objectClass: posixAccount
cn: lena
uidNumber: 5001
gidNumber: 100
homeDirectory: /tmp
loginShell: /bin/bash
END
}
# sssd_looks_every SMART FULL CACHE: the seconds of its smart and full refresh, and how long it takes a rule for fresh.
sssd_looks_every() {
  root systemctl stop sssd.service 'sssd-*.socket' 2>/dev/null
  root sh -c 'rm -f /var/lib/sss/db/* /var/lib/sss/mc/*; umask 077; cat >/etc/sssd/sssd.conf' <<END
[sssd]
services = nss, pam, sudo
domains = example
[sudo]
sudo_timed = true
[domain/example]
id_provider = ldap
auth_provider = none
access_provider = permit
sudo_provider = ldap
ldap_uri = ldap://127.0.0.1
ldap_search_base = dc=example,dc=org
ldap_sudo_search_base = ou=sudoers,dc=example,dc=org
ldap_sudo_smart_refresh_interval = $1
ldap_sudo_full_refresh_interval = $2
ldap_sudo_random_offset = 0
entry_cache_timeout = 60
entry_cache_sudo_timeout = $3
END
  quietly root systemctl start sssd.service || stop_here "sssd starts"
  within_time 20 root id lena || stop_here "sssd knows lena"
  sleep 12   # its first refresh comes ten seconds after its start
}
# rule SECONDS: the rule that gives lena id(1) from now on and for so long, as LDIF.
rule() {
  printf 'dn: cn=lena-id,ou=sudoers,dc=example,dc=org\n%s\n' "$2"
  printf '%s' "$3" | sed "s/FROM/$(date -u +%Y%m%d%H%M%SZ)/; s/UNTIL/$(date -u -d "$1 seconds" +%Y%m%d%H%M%SZ)/"
}
new_rule() {
  rule "$1" 'objectClass: sudoRole' 'cn: lena-id
sudoUser: lena
sudoHost: ALL
sudoCommand: /usr/bin/id
sudoOption: !authenticate
sudoNotBefore: FROM
sudoNotAfter: UNTIL
'
}
changed_rule() {
  rule "$1" 'changetype: modify' 'replace: sudoNotBefore
sudoNotBefore: FROM
-
replace: sudoNotAfter
sudoNotAfter: UNTIL
'
}
lena_can() { root runuser -u lena -- sudo -n /usr/bin/id; }
ldap_timed() { root perl /usr/local/lib/timed.pl "$1" "${admin[@]}" -f "$2"; }
add_rule() { new_rule 300 | put /root/rule.ldif; ldap_timed ldapadd /root/rule.ldif; }
renew_rule() { changed_rule 300 | put /root/rule.ldif; ldap_timed ldapmodify /root/rule.ldif; }
by_sssd() {
  local n
  peer
  sssd_looks_every 1 2 1
  for ((n = 0; n < runs; n++)); do
    pause 2
    measure sssd-new lena "$peer" add_rule
    quietly root ldapdelete "${admin[@]}" cn=lena-id,ou=sudoers,dc=example,dc=org
    within_time 30 not lena_can || stop_here "the rule is gone"
  done
  # A rule that is there for good, and had its day: what is fetched anew is what the cache has and takes for old.
  new_rule -60 | ldap ldapadd
  sleep 3
  for ((n = 0; n < runs; n++)); do
    pause 2
    measure sssd-changed lena "$peer" renew_rule
    changed_rule -60 | ldap ldapmodify
    within_time 30 not lena_can || stop_here "the rule has had its day"
  done
}

# --- the table --------------------------------------------------------------------------------------------------------

percentile() {   # NAME COLUMN P
  awk -v c="$2" '{ print $c }' "$results/$1" 2>/dev/null | sort -n |
    awk -v p="$3" '{ v[NR] = $1 } END { if (NR) print v[int((NR * p + 99) / 100)] }'
}
ratio() {   # A B
  if [[ -z $1 ]]; then echo -; else awk -v r="$1" -v o="$2" 'BEGIN { r /= o; printf r < 10 ? "%.1f" : "%.0f", r }'; fi
}
row() {   # NAME TEXT
  [[ -s $results/$1 ]] || return 0
  local middle
  middle=$(percentile "$1" 1 50)
  printf '%-66s %6d %6d  %6d %6d  %6d  %7s %7s\n' "$2 ($(wc -l <"$results/$1"))" "$middle" "$(percentile "$1" 1 99)" \
    "$(percentile "$1" 2 50)" "$(percentile "$1" 2 99)" "$(percentile "$1" 3 50)" \
    "$(ratio "$peer_middle" "$middle")" "$(ratio 450000 "$middle")"
}

for part; do
  lies_at=
  echo "$part, at load $(cut -d' ' -f1 /proc/loadavg)"
  case $part in
  sssd) by_sssd ;;
  folder | poll | ssh | https | etcd)
    [[ -n ${db:-} ]] || ours
    host=$db
    case $part in
    folder) by_folder ;;
    poll) by_polled_folder ;;
    ssh) by_ssh ;;
    https) by_https ;;
    etcd) by_etcd ;;
    esac ;;
  *) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
done
peer_middle=$(percentile sssd-new 1 50)
echo "ms until the user's sudo works, from the start of the command, and from when what it sent was there; its own end;"
echo "SSSD's p50 for a new rule as a multiple of this p50: as seen here, looking every second, and as it is unless told"
printf '%-66s %6s %6s  %6s %6s  %6s  %7s %7s\n' "" p50 p99 p50 p99 end "at 1 s" "at 900"
row folder "approve by a folder of one machine, which tells (inotify)"
row poll "approve by a folder of a network file system, looked at (FUSE)"
row ssh "approve by the host's own mailbox, over ssh"
row etcd "approve by etcd, one member"
row https "approve by HTTPS: nginx, looked at every 2 s while one waits"
row https-unasked "grant by HTTPS that nobody asked for: looked at every 15 s"
row https-2s "the same with poll = \"2s\""
row sssd-new "SSSD: ldapadd of a timed rule; smart refresh 1 s, full 2 s"
row sssd-changed "SSSD: ldapmodify of one that it has and takes for old after 1 s"
[[ -z $peer_middle ]] || echo "SSSD unless told: looks every 900 s, so p50 450 s, p99 891 s; by its setting, not seen"
[[ ! -e $results/odd ]] || cat "$results/odd"
