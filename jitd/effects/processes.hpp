// What runs under grants, and its end. An elevated command runs in a scope of its grant's slice (systemd.slice(5)),
// so that nohup, setsid, tmux and double forks stay inside; sys/bus.hpp starts the scopes. On a host without systemd
// they are cgroups that jitd makes, of the same names. Counting and ending needs the cgroup tree alone, so it works
// with systemd busy and jitd dead.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sys/system_bus.hpp"
#include "policy/result.hpp"

namespace jit {

// Where systemd keeps its units: the cgroup2 tree, on older hosts the v1 tree name=systemd. Without systemd: the
// cgroup2 tree, where we may make cgroups in it.
struct CgroupTree {
  std::string folder;  // the folder of the tree's root ("/sys/fs/cgroup"); empty: there is none
  std::string prefix;  // what stands before "/jit.slice" in /proc/PID/cgroup: "" but in a container without namespace
  bool unified = true;
  bool systemd = true;  // systemd runs here, whether or not it has a tree
};
// Reads /proc/self/mountinfo and /proc/1/cgroup, without systemd /proc/self/cgroup (cgroups(7)).
[[nodiscard]] CgroupTree find_cgroup_tree(const std::string& proc = "/proc", bool systemd = systemd_runs());

class Processes {
 public:
  // How a grant's processes end: `taken` with it, `left` alone (on_end = "leave"). The slice says which, so that
  // `jitd --expire`, which knows no policy, treats both right.
  enum class AtEnd : std::uint8_t { taken, left };

  explicit Processes(CgroupTree tree = find_cgroup_tree(), std::string proc = "/proc");

  // How this host keeps what runs under a grant together until its end. `none`: systemd runs and its cgroups are not
  // to be seen, so nothing is run by a grant. `notes`: no cgroup can be had (effects/noted_commands.hpp).
  enum class Way : std::uint8_t { none, scopes, cgroups, notes };
  [[nodiscard]] Way way() const {
    if (tree_.systemd) return available() ? Way::scopes : Way::none;
    return available() ? Way::cgroups : Way::notes;
  }
  // "no", "scopes", "cgroups", "notes": the word that doctor is told.
  [[nodiscard]] static std::string_view name_of(Way way);
  [[nodiscard]] bool available() const { return !tree_.folder.empty(); }
  [[nodiscard]] const CgroupTree& tree() const { return tree_; }
  [[nodiscard]] const std::string& proc() const { return proc_; }

  [[nodiscard]] static std::string slice(const std::string& grant, AtEnd at_end);             // jit-ID.slice
  [[nodiscard]] static std::string scope(const std::string& grant, AtEnd at_end, pid_t pid);  // jit-ID-PID.scope

  // Whether the process is in its scope of this grant's slice, by its own cgroup file.
  [[nodiscard]] bool in_scope(const std::string& grant, AtEnd at_end, pid_t pid) const;

  // Whether it runs in the slice of some grant, whichever kind.
  [[nodiscard]] bool under_a_grant(pid_t pid) const;

  // Grants that have a slice of that kind; a leftover of one that is over is residue.
  [[nodiscard]] std::vector<std::string> grants(AtEnd at_end = AtEnd::taken) const;
  // Processes in the slice, its scopes and whatever they made below them.
  [[nodiscard]] std::vector<pid_t> in_slice(const std::string& grant, AtEnd at_end = AtEnd::taken) const;
  // Processes in one scope of it: the elevated process `pid`, and what came of it.
  [[nodiscard]] std::vector<pid_t> in_one_scope(const std::string& grant, pid_t pid) const;
  // The next two leave out the scopes of `but`, by their elevated processes.
  // SIGTERM, and SIGCONT so that a stopped one hears it. How many were told.
  std::size_t warn(const std::string& grant, const std::set<pid_t>& but = {}) const;
  // SIGKILL to all of them at once (cgroup.kill; process by process before Linux 5.14). How many there were.
  std::size_t kill(const std::string& grant, const std::set<pid_t>& but = {}) const;
  // The same for one scope alone.
  std::size_t kill_one_scope(const std::string& grant, pid_t pid, AtEnd at_end = AtEnd::taken) const;
  // One scope stands still, until it is killed or its processes are moved. False: it cannot, or is gone.
  [[nodiscard]] bool freeze_scope(const std::string& grant, pid_t pid) const;
  // Waits until those slices are empty, at most `ms` for all; how many processes are left in them.
  [[nodiscard]] std::size_t left_after(const std::vector<std::string>& grants, int ms) const;

  // {gid: {uid: whether also where it is the process's own group (Gid), and not only one of its Groups}}
  using Holders = std::map<gid_t, std::map<uid_t, bool>>;
  // Whether a user has that group by the host's own files.
  using Entitled = std::function<bool(uid_t uid, gid_t gid)>;
  struct Ended {
    std::map<uid_t, std::size_t> killed;  // by uid of the holder
    bool all = true;                      // false: some go on forking faster than they can be killed
  };
  // Kills every process of which a thread holds a group of `holders` by one of its users: theirs by uid, and those
  // behind which the user stands (who logged in, by the kernel's audit; who made the user namespace it is in) unless
  // it runs as root or as somebody who is entitled to the group. Also those that are in a user namespace where the
  // group is mapped, and may take it there; not what only has a handle on one.
  Ended kill_holders(const Holders& holders, const Entitled& entitled) const;

  // The login that a process belongs to: kills the logind session around it (session-N.scope), without one the
  // process itself. `start` is what started_ms (sys/peer.hpp) said: another process of that pid is left alone.
  std::size_t kill_login(pid_t pid, std::uint64_t start) const;
  // Whether `one` is in the login of `other`: the same session of logind, or without it the same audit session
  // (pam_loginuid(8)), its own or that of who started it.
  [[nodiscard]] bool same_login(pid_t one, pid_t other) const;
  // SIGTERM to it. False when it is gone.
  bool warn_login(pid_t pid, std::uint64_t start) const;

 private:
  [[nodiscard]] std::string folder_of(const std::string& grant, AtEnd at_end) const;
  [[nodiscard]] std::string folder_of_scope(const std::string& grant, pid_t pid, AtEnd at_end = AtEnd::taken) const;
  // Its slice as one folder, or where some scopes are left out the others.
  [[nodiscard]] std::vector<std::string> folders_of(const std::string& grant, const std::set<pid_t>& but) const;
  [[nodiscard]] std::string cgroup_of(pid_t pid) const;  // below the prefix; empty: unknown
  std::size_t kill_folder(const std::string& folder) const;
  std::size_t kill_around(pid_t pid, uid_t uid) const;

  CgroupTree tree_;
  std::string proc_;
};

}  // namespace jit
