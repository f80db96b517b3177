// What amounts to root, by name (CVE-2020-8903: default membership in adm, docker, lxd was a way to root).
#include "tests/unit/rules/policies.hpp"

using namespace jit;

namespace {
bool dangerous(const std::string& text) {
  const auto command = parse_command(text);
  REQUIRE(command.has_value());
  return root_equivalent_command(*command);
}
}  // namespace

TEST_CASE("root-equivalent groups are known by name", "[rules]") {
  for (const char* name :
       {"root", "sudo", "wheel", "adm", "disk", "shadow", "docker", "lxd", "libvirt", "kvm", "systemd-journal"})
    CHECK(root_equivalent_group(name));
  for (const char* name : {"", "postgres", "www-data", "sudoers", "Docker", "root "})
    CHECK_FALSE(root_equivalent_group(name));
}

TEST_CASE("shells, editors, pagers and interpreters are root with any arguments", "[rules]") {
  for (const char* text : {"ALL",
                           "/bin/sh",
                           "/bin/bash -c id",
                           "/usr/bin/zsh ...",
                           "/usr/local/bin/fish",
                           "/usr/bin/ksh93",
                           "/bin/busybox",
                           "/usr/bin/vi /etc/motd",
                           "/usr/bin/vim.basic",
                           "/usr/bin/vim.tiny ...",
                           "/usr/bin/nano",
                           "/usr/bin/emacs-nox",
                           "/usr/bin/emacs28",
                           "/usr/bin/view /x",
                           "/usr/bin/less /var/log/syslog",
                           "/usr/bin/more",
                           "/usr/bin/most",
                           "/usr/bin/man ls",
                           "/usr/bin/python3 /opt/x.py",
                           "/usr/bin/python3.11",
                           "/usr/bin/python3-dbg",
                           "/usr/bin/perl5.36.0",
                           "/usr/bin/ruby3.1",
                           "/usr/bin/lua5.4",
                           "/usr/bin/node",
                           "/usr/bin/php8.2",
                           "/usr/bin/gawk",
                           "/usr/bin/mawk",
                           "/usr/bin/tclsh8.6",
                           "/usr/bin/expect",
                           "/usr/bin/gdb",
                           "/usr/bin/x86_64-linux-gnu-gdb",
                           "/usr/bin/su",
                           "/usr/bin/sudo -i",
                           "/usr/bin/screen",
                           "/usr/bin/tmux",
                           "/usr/bin/script",
                           "/usr/sbin/visudo",
                           "/usr/bin/sudo.ws ls",
                           "/usr/bin/git pull",
                           "/usr/bin/systemctl edit nginx",
                           "/usr/bin/crontab -e"}) {
    INFO(text);
    CHECK(dangerous(text));
  }
}

TEST_CASE("programs that run others are root when their arguments are free", "[rules]") {
  for (const char* path :
       {"/usr/bin/env", "/usr/bin/find", "/usr/bin/xargs", "/usr/bin/nsenter", "/usr/sbin/chroot", "/usr/bin/tar",
        "/usr/bin/docker", "/usr/bin/systemd-run", "/usr/bin/rsync", "/usr/bin/ssh", "/usr/bin/systemctl",
        "/usr/bin/apt-get", "/bin/mount", "/usr/bin/tee", "/usr/sbin/usermod", "/usr/sbin/tcpdump"}) {
    INFO(path);
    CHECK(dangerous(std::string(path) + " ..."));
    CHECK(dangerous(std::string(path) + " x ..."));
    CHECK_FALSE(dangerous(std::string(path) + " x"));
    CHECK_FALSE(dangerous(path));
  }
}

TEST_CASE("ordinary commands are not dangerous", "[rules]") {
  for (const char* text :
       {"/usr/bin/systemctl restart nginx", "/usr/bin/id ...", "/usr/bin/pg_ctlcluster ...", "/opt/app/deploy ...",
        "/opt/backup.sh ...", "/usr/sbin/pg-backup ...", "/usr/bin/crontab -l", "/opt/view.py-wrapper"}) {
    INFO(text);
    CHECK_FALSE(dangerous(text));
  }
}
