#!/bin/bash
# The mailbox on a real web server: nginx with TLS by a CA of the test's, WebDAV's PUT, client certificates, and servers that are
# not who they should be, slow, endless or elsewhere. Nothing of ours but the mailbox runs here (tests/host/mailbox_tool.cpp).
# shellcheck source=tests/host/lib.sh
source "$(dirname "$0")/lib.sh"

# --- the host -----------------------------------------------------------------------------------------------------------

# A base of its own: nginx, a proxy that knows CONNECT, and what the tool is linked with.
web_packages=(nginx-light openssl tinyproxy perl libcurl4 libsystemd0 ca-certificates curl)

quietly program mailbox-tool || stop_here "the tool is built"
tool=$last_output
quietly server_base web "nginx tinyproxy" "${web_packages[@]}" || stop_here "a base with nginx"
host=web$((RANDOM % 900 + 100))
hosts+=("$host")
quietly lab up "$host" "$server_base" || stop_here "host $host boots"
push_program "$tool"

# --- certificates -------------------------------------------------------------------------------------------------------

put /root/certificates <<'END'
set -e
mkdir -p /srv/tls && cd /srv/tls
ca() {   # NAME: a CA with its own database
  mkdir -p "$1"; : >"$1/index.txt"; echo 1000 >"$1/serial"; echo 1000 >"$1/crlnumber"
  printf '[ca]\ndefault_ca=it\n[it]\ndatabase=%s/index.txt\nserial=%s/serial\ncrlnumber=%s/crlnumber\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=any\nunique_subject=no\ndefault_crl_days=30\ncertificate=%s.pem\nprivate_key=%s.key\ncopy_extensions=copy\n[any]\ncommonName=optional\n' \
    "$1" "$1" "$1" "$1" "$1" "$1" >"$1/conf"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
signed() {   # CA NAME SAN [DATES...]
  local by=$1 name=$2 san=$3; shift 3
  [[ $# -gt 0 ]] || set -- -days 20
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -addext "subjectAltName=$san" -keyout "$name.key" -out "$name.csr"
  openssl ca -batch -config "$by/conf" "$@" -in "$name.csr" -out "$name.pem" -notext
}
here=DNS:localhost,IP:127.0.0.1
ca ours; ca other
signed ours good "$here"
signed ours late "$here" -startdate 20200101000000Z -enddate 20210101000000Z
signed ours early "$here" -startdate 20900101000000Z -enddate 20910101000000Z
signed ours elsewhere DNS:elsewhere.example
signed ours revoked "$here"
signed other stranger "$here"
signed ours client DNS:client
signed other strange-client DNS:client
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost -addext "subjectAltName=$here" -keyout self.key -out self.pem
openssl ca -config ours/conf -gencrl -out before.crl
openssl ca -config ours/conf -revoke revoked.pem
openssl ca -config ours/conf -gencrl -out after.crl
openssl ca -config ours/conf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20210101000000Z -out late.crl
openssl ec -in client.key -aes256 -passout pass:word -out encrypted.key
cp client.key open.key
chmod 600 *.key; chmod 644 open.key
printf 'jit:%s\n' "$(openssl passwd -apr1 word-of-jit)" >htpasswd
printf 'word-of-jit\n' >word; printf 'another\n' >wrong; chmod 600 word wrong
END
quietly root bash /root/certificates || stop_here "certificates are made"

# --- servers ------------------------------------------------------------------------------------------------------------

# Behind nginx: says one thing for ever, another slowly, and nothing.
put /root/odd.pl <<'END'
use strict; use warnings; use IO::Socket::INET; use IO::Select;
$SIG{PIPE} = 'IGNORE'; $SIG{CHLD} = 'IGNORE';
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 9001, Listen => 20, ReuseAddr => 1) or die;
while (my $client = $listen->accept) {
  next if fork;
  my $head = ''; while (my $line = <$client>) { $head .= $line; last if $line eq "\r\n"; }
  my ($what) = $head =~ m{^GET /(\w+)/};
  $client->autoflush(1);
  if ($what eq 'endless') { print $client "HTTP/1.0 200 OK\r\n\r\n"; 1 while print $client 'x' x 65536; }
  elsif ($what eq 'trickle') { print $client "HTTP/1.0 200 OK\r\n\r\n"; 1 while print($client 'x') && sleep 1; }
  elsif ($what eq 'short') { print $client "HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nxx"; }
  elsif ($what eq 'headers') { print $client "HTTP/1.0 200 OK\r\n"; print $client "X-H$_: " . 'h' x 100 . "\r\n" for 1 .. 300; print $client "\r\n"; }
  elsif ($what eq 'redirect') { print $client "HTTP/1.0 302 Found\r\nLocation: https://elsewhere.example/\r\n\r\n"; }
  else { sleep 60; }
  exit;
}
END
tls() { echo "listen $1 ssl; ssl_certificate /srv/tls/$2.pem; ssl_certificate_key /srv/tls/$2.key;"; }
dav='dav_methods PUT DELETE MKCOL; create_full_put_path on; client_body_temp_path /srv/mail/.part; client_max_body_size 8m;'
root mkdir -p /srv/mail/mail
root install -d -o tinyproxy -g tinyproxy /var/log/tinyproxy
root chown -R www-data: /srv/mail
put /etc/nginx/nginx.conf <<END
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 200; }
http {
  log_format ours '\$server_port \$request_method \$uri \$status \$body_bytes_sent [\$http_if_none_match] [\$http_if_match] [\$ssl_client_s_dn] \$connection_requests';
  access_log /var/log/nginx/access.log ours;
  root /srv/mail;
  server { $(tls 8443 good) location / { $dav } }
  server { $(tls 8444 good) }
  server { $(tls 8445 good) ssl_client_certificate /srv/tls/ours.pem; ssl_verify_client on; }
  server { $(tls 8446 late) }
  server { $(tls 8447 elsewhere) }
  server { $(tls 8448 self) }
  server { $(tls 8449 stranger) }
  server { $(tls 8450 revoked) }
  server { $(tls 8451 early) }
  server { $(tls 8452 good) return 301 https://localhost:8443\$request_uri; }
  server { $(tls 8453 good) location / { proxy_pass http://127.0.0.1:9001; proxy_buffering off; proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k; proxy_read_timeout 100s; } }
  server { $(tls 8454 good) location / { auth_basic mail; auth_basic_user_file /srv/tls/htpasswd; $dav } }
  server { $(tls 8455 good) ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; }
  server { $(tls 8456 good) location / { limit_except GET { deny all; } $dav } }
  server { $(tls 8457 good) location / { dav_methods PUT; client_max_body_size 1k; } }
  server { listen 8080; location /mail/to/large/ { limit_rate 40k; } }
}
END
put /etc/tinyproxy/tinyproxy.conf <<'END'
User tinyproxy
Group tinyproxy
Port 8888
Listen 127.0.0.1
LogFile "/var/log/tinyproxy/tinyproxy.log"
LogLevel Connect
Allow 127.0.0.1
END
put /etc/systemd/system/odd.service <<<$'[Service]\nExecStart=/usr/bin/perl /root/odd.pl'
root systemctl daemon-reload
quietly root systemctl start odd nginx tinyproxy || stop_here "the servers start"
within_time 10 root sh -c 'curl -sk https://localhost:8443/ >/dev/null && curl -s http://127.0.0.1:8888/ >/dev/null' || stop_here "the servers answer"

# --- helpers ------------------------------------------------------------------------------------------------------------

mail() { root timeout 70 mailbox-tool "$@"; }
# By the pinned CA: ours PORT VERB ...
ours() { local port=$1; shift; mail --ca /srv/tls/ours.pem "https://localhost:$port/mail" "$@"; }
log_of() { root grep -c -- "$1" /var/log/nginx/access.log; }
# in_time SECONDS CMD...: it ends, however, before so long.
in_time() { local from=$SECONDS limit=$1; shift; "$@"; local status=$?; [[ $((SECONDS - from)) -le $limit ]] || echo "took $((SECONDS - from)) s"; return $status; }
index_all() { as_www mailbox-tool index /srv/mail/mail | tr '\n' ' '; }
document() { root sh -c "mkdir -p /srv/docs && printf '%s' '$2' >/srv/docs/$1"; }
listed() { ours "$1" list "$2" | grep -c '\.jit$'; }
as_www() { root runuser -u www-data -- "$@"; }
for n in 1 2 3 4 5 6 7 8; do document "a$n.jit" "document a$n"; document "b$n.jit" "document b$n"; done

# --- reading ------------------------------------------------------------------------------------------------------------

ok "a box that is not there is empty" ours 8443 list to/db1
root sh -c 'mkdir -p /srv/mail/mail/to/db1 /srv/mail/mail/to/segment/pci-db /srv/mail/mail/from/db1 && cp /srv/docs/a[12].jit /srv/mail/mail/to/db1/ && cp /srv/docs/b1.jit "/srv/mail/mail/to/segment/pci-db/b 1%.jit" && chown -R www-data: /srv/mail/mail'
gives "the indexer makes every box an index" 'to/db1 to/segment/pci-db from/db1' index_all
gives "and none anew when nothing changed" '^$' as_www mailbox-tool index /srv/mail/mail
gives "what lies there is listed" ' 11 a1\.jit' ours 8443 list to/db1
gives "and fetched" '^document a1$' ours 8443 get to/db1 a1.jit
gives "also under a name that a URL writes otherwise" '^document b1$' ours 8443 get to/segment/pci-db "b 1%.jit"
root sleep 2
root truncate -s 0 /var/log/nginx/access.log
ok "a box is looked at five times" ours 8443 list to/db1 5
gives "which is one answer with an index and four without" '^1 4$' root sh -c 'echo $(grep -c "GET /mail/to/db1/index 200 " /var/log/nginx/access.log) $(grep -c "GET /mail/to/db1/index 304 0 " /var/log/nginx/access.log)'
gives "over one connection" '304 .* 5$' root tail -1 /var/log/nginx/access.log
gives "over plain HTTP, too" 'a1\.jit' mail http://localhost:8080/mail list to/db1
gives "bytes that the index does not speak of are refused" 'not_found: .*not what its index speaks of' root sh -c 'printf "document aX" >/srv/mail/mail/to/db1/a1.jit; timeout 60 mailbox-tool --ca /srv/tls/ours.pem https://localhost:8443/mail get to/db1 a1.jit'
root sh -c 'cp /srv/docs/a1.jit /srv/mail/mail/to/db1/a1.jit'
gives "a page that is no index is refused as a whole" 'invalid: .*line 1 of its index' root sh -c 'mkdir -p /srv/mail/mail/to/page && echo "<html>" >/srv/mail/mail/to/page/index; timeout 60 mailbox-tool --ca /srv/tls/ours.pem https://localhost:8443/mail list to/page'

# --- posting ------------------------------------------------------------------------------------------------------------

ok "a document is posted" ours 8443 put to/db2 /srv/docs/a1.jit
gives "into a folder that was not there, where others read it" 'a1\.jit' ours 8444 list to/db2
gives "as it was" '^document a1$' ours 8444 get to/db2 a1.jit
ok "a host posts several" ours 8443 put from/db2 /srv/docs/a1.jit /srv/docs/a2.jit /srv/docs/a3.jit
gives "which are all there" '^3$' listed 8443 from/db2
ok "one is taken away" ours 8443 remove from/db2 a2.jit
ok "and again" ours 8443 remove from/db2 a2.jit
gives "it is gone from the index and from the folder" '^a1.jit a3.jit index$' root sh -c 'echo $(ls /srv/mail/mail/from/db2)'
gives "a static server takes nothing, and it is said what to do" 'refused: .*405.*it takes no files by PUT' ours 8444 put to/db2 /srv/docs/a4.jit
gives "nor does one that forbids it" 'refused: .*403.*it lets us post nothing' ours 8456 put to/db2 /srv/docs/a4.jit
root sh -c 'head -c 32000 /dev/zero >/srv/docs/large.jit'
gives "one that hangs up on what is large for it is an error, and no signal" '(refused|unavailable): .*8457/mail/to/db2/large.jit' ours 8457 put to/db2 /srv/docs/large.jit
refused "nothing of them came" root ls /srv/mail/mail/to/db2/a4.jit
# nginx heeds no conditions of a PUT: what one poster does not see, it overwrites.
post_all() { root timeout 120 mailbox-tool --ca /srv/tls/ours.pem https://localhost:8443/mail put to/busy /srv/docs/"$1"{1,2,3,4,5,6,7,8}.jit; }
both_post() { local first second status=0; post_all a & first=$!; post_all b & second=$!; wait "$first" || status=1; wait "$second" || status=1; return $status; }
ok "two post eight documents each at once" both_post
gives "and none is lost" '^16$' listed 8443 to/busy
gives "basic authentication is asked for" 'refused: .*401.*password_file' ours 8454 list to/db1
gives "and given" 'a1\.jit' mail --ca /srv/tls/ours.pem --user jit --password-file /srv/tls/word https://localhost:8454/mail list to/db1
ok "also to post" mail --ca /srv/tls/ours.pem --user jit --password-file /srv/tls/word https://localhost:8454/mail put to/db3 /srv/docs/a1.jit
gives "a wrong password is refused" 'refused: .*401' mail --ca /srv/tls/ours.pem --user jit --password-file /srv/tls/wrong https://localhost:8454/mail list to/db1

# --- who the server is --------------------------------------------------------------------------------------------------

gives "an expired certificate is refused as expired" 'refused: .*certificate has expired' ours 8446 list to/db1
gives "one for another name as that" "refused: .*(no alternative certificate subject name|not match).*'?localhost" ours 8447 list to/db1
gives "one that nobody signed as self-signed" 'refused: .*self[- ]signed.*no CA in /srv/tls/ours.pem signed it' ours 8448 list to/db1
gives "one of another CA as signed by nobody known" 'refused: .*unable to get local issuer certificate.*no CA in /srv/tls/ours.pem' ours 8449 list to/db1
gives "one that is not valid yet as that" 'refused: .*not yet valid.*clock' ours 8451 list to/db1
gives "a revoked one is as good as any without a revocation list" 'a1\.jit' ours 8450 list to/db1
with_crl() { mail --ca /srv/tls/ours.pem --crl "/srv/tls/$1" "https://localhost:$2/mail" list to/db1; }
gives "and with a list from before" 'a1\.jit' with_crl before.crl 8450
gives "and is refused as revoked with the list of now" 'refused: .*certificate revoked' with_crl after.crl 8450
gives "which leaves the others" 'a1\.jit' with_crl after.crl 8443
gives "a list that is too old is refused as that" 'refused: .*CRL has expired.*renew /srv/tls/late.crl' with_crl late.crl 8443
gives "without a pinned CA the system's do not know ours" 'refused: .*no CA of this system signed it' mail https://localhost:8443/mail list to/db1
root sh -c 'mkdir -p /usr/local/share/ca-certificates && cp /srv/tls/other.pem /usr/local/share/ca-certificates/other.crt && update-ca-certificates' >/dev/null 2>&1
gives "a CA of the system's counts without a pinned one" 'a1\.jit' mail https://localhost:8449/mail list to/db1
gives "and not beside one" 'refused: .*unable to get local issuer' ours 8449 list to/db1
gives "a server that speaks TLS 1.1 alone is refused" '(refused|unavailable): .*(alert|protocol|version)' ours 8455 list to/db1
gives "what is no certificate is no CA" 'invalid: /etc/hostname has no certificate' mail --ca /etc/hostname https://localhost:8443/mail list to/db1

# --- who we are ---------------------------------------------------------------------------------------------------------

me() { mail --ca /srv/tls/ours.pem --certificate "/srv/tls/$1.pem" --key "/srv/tls/$2.key" "https://localhost:8445/mail" list to/db1; }
gives "without a certificate that is demanded, we are refused" 'refused: .*400.*No required SSL certificate was sent' ours 8445 list to/db1
gives "with it, we are let in" 'a1\.jit' me client client
gives "by its name" '\[CN=client\]' root tail -1 /var/log/nginx/access.log
gives "with one of another CA, we are refused" 'refused: .*400.*The SSL certificate error' me strange-client strange-client
gives "a key that others can read is not used" 'refused: /srv/tls/open.key is secret, and others may read' me client open
gives "one of another certificate is an error" 'invalid: /srv/tls/client.pem and /srv/tls/strange-client.key are no certificate and its key' me client strange-client
gives "an encrypted one is an error, and no question" 'invalid: .*encrypted.key are no certificate and its key' in_time 5 me client encrypted

# --- where it goes ------------------------------------------------------------------------------------------------------

root truncate -s 0 /var/log/nginx/access.log
gives "a redirect is not followed, and it is said where to" 'refused: .*redirects \(301 to https://localhost:8443/mail/to/db1/index\)' ours 8452 list to/db1
gives "nor when something is posted" 'refused: .*redirects \(301' ours 8452 put to/db1 /srv/docs/a4.jit
gives "and nothing came there" '^0$' log_of '^8443 '
proxied() { root grep -c 'CONNECT localhost:84' /var/log/tinyproxy/tinyproxy.log; }
with_env() { root env https_proxy=http://127.0.0.1:8888 HTTPS_PROXY=http://127.0.0.1:8888 ALL_PROXY=http://127.0.0.1:8888 all_proxy=http://127.0.0.1:8888 SSLKEYLOGFILE=/tmp/keys HOME=/root timeout 60 mailbox-tool "$@"; }
gives "a proxy of the environment is not asked" 'a1\.jit' with_env --ca /srv/tls/ours.pem https://localhost:8443/mail list to/db1
gives "it saw nothing" '^0$' proxied
refused "and no keys of the connection are written" root ls /tmp/keys
ok "where curl would" root env https_proxy=http://127.0.0.1:8888 SSLKEYLOGFILE=/tmp/keys curl -s --cacert /srv/tls/ours.pem https://localhost:8443/mail/to/db1/index
gives "it saw that" '^1$' proxied
through() { root env no_proxy='*' NO_PROXY='*' timeout 60 mailbox-tool --proxy "http://127.0.0.1:$1" --ca /srv/tls/ours.pem "https://localhost:$2/mail" list to/db1; }
gives "the proxy of the specification is used, whatever no_proxy says" 'a1\.jit' through 8888 8443
gives "it saw that, too" '^2$' proxied
gives "and the server's certificate counts all the same" 'refused: .*self[- ]signed' through 8888 8448
gives "a proxy that is not there is no way round it" 'unavailable: ' through 8889 8443

# --- servers that do not play along -------------------------------------------------------------------------------------

odd() { mail --ca /srv/tls/ours.pem "https://localhost:8453/$1" list to/db1; }
gives "an endless index is over at its limit" 'invalid: .*more than 4194304 bytes' in_time 25 odd endless
gives "headers are bounded" 'invalid: .*headers' in_time 5 odd headers
gives "one that breaks off is unavailable" 'unavailable: ' in_time 5 odd short
gives "a redirect from behind is one" 'redirects \(302 to https://elsewhere.example/\)' odd redirect
slow() { odd "$1" 2>&1 | sed "s/^/$1: /"; }
slow_ones() { local from=$SECONDS first second; slow trickle & first=$!; slow silent & second=$!; wait "$first" "$second"; echo "after $((SECONDS - from)) s"; }
gives "slow ones are over after half a minute" 'after (2[89]|3[0-4]) s' slow_ones
gives "as timed out" 'trickle: unavailable: .*timed out' echo "$last_output"
gives "and silent ones" 'silent: unavailable: .*timed out' echo "$last_output"
# Name services that say nothing: libcurl asks them on a thread that nobody waits for.
put /root/sink.pl <<'END'
use strict; use warnings; use IO::Socket::INET;
my $sink = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 53, Proto => 'udp') or die;
sleep 1000;
END
put /etc/systemd/system/sink.service <<<$'[Service]\nExecStart=/usr/bin/perl /root/sink.pl'
root systemctl daemon-reload
root systemctl start sink
put /etc/resolv.conf <<<$'nameserver 127.0.0.1\noptions timeout:30 attempts:3'
gives "a name service that hangs is not waited for" 'unavailable: .*(Resolving timed out|Resolv)' in_time 9 mail https://nowhere.example/mail list to/db1
ok "which was not over by then" root systemctl is-active sink
root systemctl stop nginx
gives "a server that is down is unavailable" 'unavailable: .*connect' in_time 3 ours 8443 list to/db1
root systemctl start nginx
gives "and back, it is as before" 'a1\.jit' ours 8443 list to/db1

# --- a slow line --------------------------------------------------------------------------------------------------------

# An index of 1.6 MiB, slower than what one look may take: the next one goes on where it broke off.
root sh -c 'mkdir -p /srv/mail/mail/to/large && perl -e "printf qq(%064x 5 n%06d.jit\n), 10, \$_ for 1 .. 20000" >/srv/mail/mail/to/large/index'
root truncate -s 0 /var/log/nginx/access.log
two_looks() { mail http://localhost:8080/mail list to/large 2 | grep -c ' 5 n'; }
gives "an index that takes longer than a look comes in two" '^20000$' two_looks
gives "the second of which asks for its rest" 'GET /mail/to/large/index 206 ' root tail -1 /var/log/nginx/access.log
