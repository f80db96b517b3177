// Doctor's look at jitd itself: daemon, board, policy, trust, name and units.
#include "jitctl/checkup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "jitctl/delivered.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/policy_files.hpp"
#include "jitd/sys/fd.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/wire/board.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

// The board by pread, as pam_jit reads it.
class BoardFile final : public wire::BoardSource {
 public:
  explicit BoardFile(int fd) : fd_(fd) {}
  bool read(std::uint64_t offset, std::span<std::byte> into) const noexcept override {
    return ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(into.size());
  }

 private:
  int fd_;
};

// Root-owned and writable by nobody else; what is wrong, else empty.
std::string not_roots(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? "is not there" : "cannot be looked at";
  if (status.st_uid != 0) return "is not owned by root";
  if ((status.st_mode & 022) != 0) return "can be written by others";
  return {};
}

}  // namespace

void Findings::add(Finding finding) {
  const auto same = [&](const Finding& other) { return other.what == finding.what; };
  if (std::none_of(all_.begin(), all_.end(), same)) all_.push_back(std::move(finding));
}

std::size_t Findings::problems() const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(), [](const Finding& f) { return f.level == Finding::Level::problem; }));
}

bool Findings::mentions(std::string_view what) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const Finding& f) { return f.what.find(what) != std::string::npos; });
}

void check_config(Context& context, Findings& findings) {
  SpawnRequest request;
  request.argv = {context.places.usr + "/sbin/jitd", "--check"};
  const auto outcome = context.spawn.run(request);
  if (!outcome) {
    findings.note("jitd --check could not be run: " + outcome.error().message, "");
  } else if (outcome->exit_status != 0) {
    for (auto line : split(outcome->err, '\n')) {
      if (!line.starts_with("jitd: ")) continue;
      line.remove_prefix(6);
      if (!findings.mentions(line))
        findings.problem("jitd would not start so: " + std::string(line), "mend the file");
    }
  } else {
    findings.fine("jitd would start with these files");
  }
}

namespace {

// Whether sudo can have an audit session of its own (pam_jit's system.hpp): tried in a process that ends with it. The
// first write may only set what was unset, which needs no right.
bool may_renew_audit_session(const std::string& proc) {
  const std::string file = proc + "/self/loginuid";
  const pid_t child = ::fork();
  if (child < 0) return true;  // cannot be told
  if (child == 0) {
    const auto write_again = [&](std::string uid) {
      while (uid.ends_with('\n')) uid.pop_back();
      if (uid == "4294967295") uid = "0";
      const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
      return out && ::write(out.get(), uid.data(), uid.size()) == static_cast<ssize_t>(uid.size());
    };
    const auto uid = read_file(file, 32);
    const bool renewed = uid && write_again(*uid) && write_again(*uid);
    ::_exit(renewed ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// How what runs under a grant is kept together until its end (effects/processes.hpp).
void check_ends_of_commands(const Context& context, std::string_view way, Findings& findings) {
  const bool commands_end = way == "scopes" || way == "cgroups" || way == "notes";
  if (commands_end && !may_renew_audit_session(context.places.proc)) {
    findings.note(
        "the kernel lets nobody begin another audit session here: what a command by a grant leaves in a login "
        "session of its own (su -) does not end with the grant",
        "give CAP_AUDIT_CONTROL to the container; do without auditctl --loginuid-immutable");
  }
  if (way == "scopes") {
    findings.fine("what runs under a grant is in a systemd scope, and ends with it");
  } else if (way == "cgroups") {
    findings.fine("what runs under a grant is in a cgroup that jitd makes (no systemd here), and ends with it");
  } else if (way == "notes") {
    findings.note(
        "neither systemd nor a writable cgroup2 tree is here: at a grant's end jitd looks for what descends from its "
        "sudo, by parent, session and audit session. That is weaker: what root takes out of its audit session goes "
        "on and, where the kernel gives sudo no audit session of its own, what forked twice and left its session "
        "does "
        "too",
        "mount /sys/fs/cgroup (cgroup2) writable for jitd");
  } else if (way == "no") {
    findings.problem(
        "this host has no cgroups of systemd's: commands under a grant are refused, since nobody could end them",
        "see that /sys/fs/cgroup is mounted");
  }
}

}  // namespace

void check_daemon(Context& context, Findings& findings) {
  const auto health = ask_jitd(context, wire::Verb::health, {}, std::chrono::seconds(5));
  if (!health) {
    findings.problem(health.error().message, "start it: systemctl start jitd; why it fails: journalctl -u jitd");
    return;
  }
  findings.fine(fmt::format("jitd {} answers on {}: {} active, {} pending", health->value("version"),
                            health->value("host"), health->value("active"), health->value("pending")));
  if (const auto clock = health->value("clock"); !clock.empty()) {
    findings.problem("the clock: " + clock,
                     "set the clock right, or take it over as it is: jitctl doctor --accept-clock");
  }
  const auto error = health->value("policy_error");
  if (!error.empty() || health->value("policy") == "last-good") {
    findings.problem("the policy in force is the last good one: " + error,
                     "mend the file, then: jitctl policy check");
  }
  if (const auto view = health->value("view"); !view.empty())
    findings.fine(fmt::format("list {} of revocations is the newest without one missing, made at {}", view,
                              health->value("view_created")));
  if (const auto dropped = health->value("checks_dropped"); !dropped.empty() && dropped != "0") {
    findings.note(dropped + " checks were dropped because somebody flooded the socket", "see journalctl -u jitd");
  }
  for (const auto& warning : health->result.all(Tag::warning)) {
    const bool said = !error.empty() && warning.find(error) != std::string::npos;
    if (!said) findings.note(warning, "");
  }
  check_ends_of_commands(context, health->value("processes"), findings);
}

void check_board(Context& context, Findings& findings) {
  const auto path = context.places.run + "/board";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) {
    findings.problem(path + ": no board; enforced gates deny everybody who is not exempt while jitd does not answer",
                     "systemctl restart jitd");
    return;
  }
  const BoardFile source(fd.get());
  const auto board = wire::BoardView::open(source);
  if (!board) {
    findings.problem(path + ": damaged, so it answers nothing", "systemctl restart jitd");
    return;
  }
  for (std::uint32_t index = 0; index < board->gates(); ++index) {
    if (!board->gate(index)) {
      findings.problem(fmt::format("{}: gate {} does not read", path, index), "systemctl restart jitd");
      return;
    }
  }
  findings.fine(fmt::format("the board reads: {} gates, {} grants", board->gates(), board->grants()));
}

namespace {

// What the owners delivered, whether it counts.
DeliveredState check_delivered(const Context& context, Kind kind, Findings& findings) {
  auto state = delivered_here(context.places, kind);
  if (state.counts) findings.fine("delivered here is " + in_words(state));
  if (!state.why_not.empty() && !findings.mentions(state.why_not))
    findings.problem(state.why_not, "deliver it anew, signed by the owners in jitd.toml, or remove the file");
  return state;
}

}  // namespace

void check_policy(Context& context, Findings& findings) {
  const auto directory = context.places.etc_jit + "/policy.d";
  const auto policy = read_policy(context.places);
  check_delivered(context, Kind::policy, findings);
  if (!policy && findings.mentions(policy.error().message)) return;
  if (!policy) {
    findings.problem("the policy does not load: " + policy.error().message,
                     "mend it; jitctl policy check tells when it is good");
    return;
  }
  if (policy->roles.empty()) {
    findings.problem(directory + ": no role, so nobody can ask for anything", "jitctl setup makes a first one");
  } else {
    findings.fine(fmt::format("the policy loads: {} roles, {} gates", policy->roles.size(), policy->gates.size()));
  }
  for (const auto& warning : policy->warnings) findings.note(warning, "");
  for (const auto& problem : host_problems(*policy, context.places.etc)) {
    findings.problem(problem, "the role is refused until that is mended");
  }
}

void check_trust(Context& context, Findings& findings) {
  const auto directory = context.places.etc_jit + "/trust";
  for (const auto& path :
       {context.places.etc_jit, directory, directory + "/approvers", context.places.etc_jit + "/policy.d"}) {
    if (const auto wrong = not_roots(path); !wrong.empty()) {
      findings.problem(path + " " + wrong, "it must be root's and writable by nobody else");
    }
  }
  const auto path = directory + "/approvers";
  auto approvers = read_trust(path);
  if (!approvers) {
    findings.problem(approvers.error().message, "mend the file");
    return;
  }
  const auto delivered = check_delivered(context, Kind::trust, findings);
  for (const auto& file : delivered.counts ? delivered.counts->files : std::vector<Delivery::File>{}) {
    if (file.name != "approvers") continue;
    auto more = parse_trust(fmt::format("delivered {}/{}", name_of(*delivered.counts), file.name), file.text);
    for (auto& line : more.lines) {
      line.file = more.path;
      approvers->lines.push_back(std::move(line));
    }
    approvers->bad.insert(approvers->bad.end(), more.bad.begin(), more.bad.end());
  }
  for (const auto& bad : approvers->bad)
    findings.problem(bad.message, "that line counts for nothing until it is mended");
  const auto now = context.now();
  const auto policy = read_policy(context.places);
  std::size_t able = 0;
  const auto nobody = policy ? void_keys(*policy, {&*approvers}) : std::set<std::string>();
  for (const auto& line : approvers->lines) {
    const auto at = fmt::format("{}:{}", line.file.empty() ? path : line.file, line.line);
    if (nobody.contains(line.key.blob)) {
      findings.problem(at + ": this key stands under two persons and counts for neither",
                       "take one of the lines out");
    } else if (!line.valid_at(now)) {
      findings.note(fmt::format("{}: {}'s key is not valid today", at, line.principal), "");
    } else if (policy && !person_of_principal(*policy, line.principal)) {
      findings.problem(fmt::format("{}: {} is nobody by [people]", at, line.principal),
                       "list the principal under the person it belongs to");
    } else {
      ++able;
    }
  }
  if (able == 0) {
    findings.problem("there is no approver: nothing that needs a review can ever be granted",
                     "jitctl trust add KEYFILE --principal NAME");
  } else {
    findings.fine(fmt::format("{} approver key{} may sign", able, able == 1 ? "" : "s"));
  }
}

void check_host(Context& context, Findings& findings) {
  const auto info = inspect(context);
  if (!info) return;  // check_daemon has said so
  std::array<char, 256> node{};
  (void)::gethostname(node.data(), node.size() - 1);
  findings.fine("approvers elsewhere know it by this line of their ~/.config/jit/hosts: " + hosts_line(*info));
  const auto config = read_file(context.places.etc_jit + "/jitd.toml", 64 * 1024);
  bool confirmed = false;
  for (const auto line : split(config ? std::string_view(*config) : std::string_view(), '\n')) {
    confirmed = confirmed || line.starts_with("host ") || line.starts_with("host=");
  }
  if (!confirmed) {
    findings.note(fmt::format("documents call this host {}, as the kernel did at jitd's first start", info->host),
                  fmt::format("confirm it: jitctl setup --host {} --yes", info->host));
  } else if (info->host != node.data()) {
    findings.note(fmt::format("documents call this host {}; the kernel calls it {}", info->host, node.data()),
                  "fine when meant; approvers must know it by the first");
  } else {
    findings.fine(fmt::format("this host is {} with key {}", info->host, info->host_key));
  }
}

void check_units(Context& context, Findings& findings) {
  if (!systemd_is_init(context)) {
    findings.note(
        "systemd is not this host's init: the dead-man is a process of jitd's own, and no unit of ours runs",
        "have your init run jitd --expire --all and gate-lines observe --unconfirmed before logins, start jitd and "
        "start it again when it ends, and run "
        "jitd --residue from cron");
    return;
  }
  const struct {
    const char* unit;
    const char* what;
  } units[] = {{"jitd.service", "jitd does not start at boot"},
               {"jit-boot.service", "nothing takes leftovers away before logins at boot"},
               {"jit-gate.service", "a reboot does not take back an enforced gate that nobody confirmed"}};
  for (const auto& [unit, what] : units) {
    SpawnRequest request;
    request.argv = {context.places.usr + "/bin/systemctl", "is-enabled", unit};
    const auto outcome = context.spawn.run(request);
    if (!outcome) {
      findings.note(std::string("systemd does not say whether ") + unit + " is enabled", "");
    } else if (outcome->exit_status != 0) {
      findings.problem(std::string(what) + ": " + unit + " is not enabled", std::string("systemctl enable ") + unit);
    } else {
      findings.fine(std::string(unit) + " is enabled");
    }
  }
  // The dead-man is started by timers that jitd makes for each end; without its unit nothing is granted.
  SpawnRequest request;
  request.argv = {context.places.usr + "/bin/systemctl", "show", "--property=LoadState", "--value",
                  "jit-expire@doctor.service"};
  const auto outcome = context.spawn.run(request);
  const auto state =
      outcome && outcome->exit_status == 0 ? outcome->out.substr(0, outcome->out.find('\n')) : "not known";
  if (state == "loaded") {
    findings.fine("the dead-man's unit is there");
  } else {
    findings.problem("jit-expire@.service is " + shown(state, 40) +
                         ": nothing would end grants when jitd is dead, so none is given",
                     state == "masked" ? "systemctl unmask jit-expire@.service" : "install the package jitd again");
  }
}

}  // namespace jit::ctl
