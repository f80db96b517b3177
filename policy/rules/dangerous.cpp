// What amounts to root: groups by name, and commands by the name of the program when they run as root. The lists can
// only ever be a net under the author of a policy, so they are wide: a false alarm costs one line (dangerous = true).
#include <algorithm>
#include <string>
#include <string_view>

#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::string_view kGroups = "root sudo wheel adm disk shadow docker lxd libvirt kvm systemd-journal";

// Root to whoever may start them, with any arguments: a shell is a command or a key away.
constexpr std::string_view kAlways =
    // shells
    "sh bash rbash dash ash zsh rzsh ksh rksh mksh lksh pdksh fish tcsh csh busybox toybox pwsh elvish nu "
    "xonsh yash posh sash rc es osh git-shell rush "
    // sessions of another user
    "su sudo sudo-rs sudoedit doas please pkexec run0 runuser login newgrp sg script scriptreplay screen "
    "tmux byobu dtach abduco ttyd expect unbuffer "
    // editors
    "vi vim rvim nvim nvi gvim rgvim evim eview gview rgview view rview vimdiff gvimdiff vimtutor elvis "
    "vile ex ed red emacs emacsclient xemacs mg zile jove jed joe jmacs jpico jstar rjoe nano rnano pico "
    "micro mcedit mc ne hx helix kak dte tilde gedit kate editor sensible-editor select-editor visudo "
    "vipw vigr "
    // pagers
    "less more most pg lv zless zmore bzless bzmore xzless xzmore lessfile lesspipe man info pinfo bat "
    "batcat moar pager sensible-pager w3m lynx links elinks run-mailcap see git "
    // interpreters and debuggers
    "python ipython pypy jython perl ruby irb jruby lua luajit luajittex node nodejs deno bun php hhvm "
    "awk gawk mawk nawk original-awk tclsh wish guile scheme racket sbcl clisp ghci runghc erl iex elixir "
    "julia octave gnuplot groovy jshell jjs jrunscript scala kotlin ocaml swipl gst rscript Rscript R gdb "
    "lldb bpftrace gimp ftp lftp sftp telnet psql mysql mariadb sqlite sqlite3 ";

// Root to whoever may choose their arguments.
constexpr std::string_view kWithAnyArguments =
    // they run what they are told
    "env xargs parallel find fd fdfind nsenter unshare chroot setpriv capsh systemd-run systemd-nspawn "
    "machinectl bwrap firejail timeout time nice ionice chrt taskset numactl setarch linux32 linux64 "
    "nohup setsid stdbuf flock watch strace ltrace perf valgrind catchsegv start-stop-daemon run-parts at "
    "batch crontab make gmake ninja cmake gcc cc go cargo rustc svn hg pip pipx npm npx yarn gem "
    "bundle cpan composer ssh scp rsync tar bsdtar cpio pax zip unzip 7z ar dar docker dockerd podman "
    "buildah nerdctl ctr crictl runc crun lxc lxc-attach lxc-execute lxc-start lxd incus kubectl helm "
    "virsh vagrant qemu-system-x86_64 ansible ansible-playbook salt-call puppet chef-client apt apt-get "
    "aptitude dpkg dpkg-reconfigure snap flatpak rpm yum dnf microdnf zypper pacman apk alien systemctl "
    "service journalctl loginctl busctl gdbus dbus-send nmcli ip tcpdump tshark dumpcap wireshark nmap "
    "openvpn socat nc ncat netcat logrotate logsave openssl gpg sed nft "
    // they write, own or mount what they are told, or load code into the kernel
    "cp mv ln dd tee install truncate chmod chown chgrp setfacl setcap chattr mount umount losetup "
    "debugfs xfs_db parted fdisk mkfs patch sort shuf split csplit wget curl aria2c useradd adduser "
    "usermod groupmod groupadd gpasswd passwd chpasswd newusers chsh chfn pam-auth-update "
    "update-alternatives ldconfig sysctl insmod modprobe kexec bpftool efibootmgr grub-install jitd "
    "jitctl gate-lines ";

bool listed(std::string_view list, std::string_view name) {
  if (name.empty()) return false;
  const std::vector<std::string_view> words = split(list, ' ');
  return std::find(words.begin(), words.end(), name) != words.end();
}

std::string_view without_version(std::string_view name) {
  return name.substr(0, name.find_last_not_of("0123456789.") + 1);
}

// What distributions append to the name of a program that they build in several ways.
constexpr std::string_view kVariants = "basic tiny nox gtk gtk2 gtk3 athena motif lucid x dbg static minimal full ws";

// `name` and what it is a version or variant of: python3.11 and python3-dbg are python, vim.basic is vim, emacs-nox
// emacs, x86_64-linux-gnu-gdb gdb.
bool listed_in_some_form(std::string_view list, std::string_view name) {
  if (const std::size_t target = name.find("-linux-gnu-"); target != std::string_view::npos)
    name.remove_prefix(target + std::string_view("-linux-gnu-").size());
  if (const std::size_t mark = name.find_last_of(".-");
      mark != std::string_view::npos && listed(kVariants, name.substr(mark + 1)))
    name = name.substr(0, mark);
  return listed(list, name) || listed(list, without_version(name));
}

// Commands that start an editor, although their arguments are fixed.
bool edits(std::string_view name, const Command& command) {
  const auto has = [&](std::string_view word) {
    return std::find(command.args.begin(), command.args.end(), word) != command.args.end();
  };
  return (name == "systemctl" && has("edit")) || (name == "crontab" && has("-e"));
}

}  // namespace

bool root_equivalent_group(std::string_view name) {
  return listed(kGroups, name);
}

bool root_equivalent_command(const Command& command) {
  if (command.path == "ALL") return true;
  const std::string_view name = std::string_view(command.path).substr(command.path.rfind('/') + 1);
  if (listed_in_some_form(kAlways, name)) return true;
  if (edits(name, command)) return true;
  return command.any_args && listed_in_some_form(kWithAnyArguments, name);
}

}  // namespace jit
