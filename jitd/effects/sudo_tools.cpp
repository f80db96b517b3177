// Which sudo there are, and what they say of a user's rules.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

#include "jitd/effects/dropins.hpp"
#include "jitd/effects/sudo_defaults.hpp"
#include "jitd/effects/sudoers_order.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::array kSudoPlaces = {"/usr/bin/sudo",       "/usr/bin/sudo.ws",       "/usr/bin/sudo-rs",
                                    "/usr/local/bin/sudo", "/usr/local/bin/sudo-rs", "/usr/lib/cargo/bin/sudo"};
constexpr std::array kVisudoPlaces = {"/usr/sbin/visudo",       "/usr/bin/visudo",          "/usr/sbin/visudo.ws",
                                      "/usr/bin/visudo.ws",     "/usr/sbin/visudo-rs",      "/usr/bin/visudo-rs",
                                      "/usr/local/sbin/visudo", "/usr/lib/cargo/bin/visudo"};

std::string resolved(const char* path) {
  std::array<char, PATH_MAX> real{};
  if (::realpath(path, real.data()) == nullptr) return {};
  struct stat status {};
  if (::stat(real.data(), &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & S_IXUSR) == 0) return {};
  return real.data();
}

Result<SpawnOutcome> ask(Spawn& spawn, std::vector<std::string> argv) {
  SpawnRequest request;
  request.argv = std::move(argv);
  request.max_output = std::size_t{4} << 20U;
  return spawn.run(request);
}

std::string first_line(const SpawnOutcome& outcome) {
  const std::string& text = outcome.out.empty() ? outcome.err : outcome.out;
  return text.substr(0, text.find('\n'));
}

// "Sudo version 1.9.13p3", "sudo-rs 0.2.5".
std::string version_in(const std::string& line) {
  return line.substr(line.rfind(' ') + 1);
}

// Its `-V` does not name sudo-rs ("visudo version 0.2.5"); sudo itself was at 1.x long before sudo-rs began.
bool visudo_is_rs(const std::string& line) {
  return version_in(line).starts_with("0.");
}

std::string visudo_for(Spawn& spawn, bool rs) {
  for (const char* place : kVisudoPlaces) {
    std::string path = resolved(place);
    if (path.empty()) continue;
    const auto outcome = ask(spawn, {path, "-V"});
    if (outcome && outcome->exit_status == 0 && visudo_is_rs(first_line(*outcome)) == rs) return path;
  }
  return {};
}

// The argv of one use that the rule must allow: any arguments are shown by one that nobody meant in particular.
std::vector<std::string> sample(const Command& command) {
  if (command.path == "ALL") return {"/usr/bin/true"};
  std::vector<std::string> argv = {command.path};
  argv.insert(argv.end(), command.args.begin(), command.args.end());
  if (command.any_args) argv.emplace_back("jit-sample");
  return argv;
}

std::vector<std::string> list_command(const SudoTool& tool, const char* how, const std::string& user,
                                      const SudoEffect& effect) {
  std::vector<std::string> argv = {tool.sudo, how, "-U", user, "-u", "#" + std::to_string(effect.uid), "--"};
  for (std::string& word : sample(effect.command)) argv.push_back(std::move(word));
  return argv;
}

constexpr std::string_view kEntry = "Sudoers entry:";

// "Sudoers entry: /run/jit/sudoers.d/jit-..." -> the path; empty where this sudo does not say.
std::string file_of_entry(std::string_view line) {
  std::string_view path = line.substr(kEntry.size());
  while (path.starts_with(' ')) path.remove_prefix(1);
  return std::string(path);
}

bool inside(const std::string& file, const std::string& dir) {
  return file.starts_with(dir + "/") && file.find('/', dir.size() + 1) == std::string::npos;
}

// Rules from LDAP or SSSD come under a heading of their own.
bool role_heading(std::string_view line) {
  return line.starts_with("LDAP Role:") || line.starts_with("SSSD Role:");
}

bool has_option(std::string_view options, std::string_view wanted) {
  for (std::string_view option : split(options, ',')) {
    while (option.starts_with(' ')) option.remove_prefix(1);
    if (option == wanted) return true;
  }
  return false;
}

// What tells our rules from others in the listing of a sudo that names no files (before 1.9.14): run-as and the very
// second of their NOTAFTER.
using Mark = std::pair<std::string, std::string>;

// The marks of all rules in `dir`: "#1001 ALL=(#0) NOTAFTER=20261122080000Z ...".
Result<std::set<Mark>> marks_in(const std::string& dir) {
  std::set<Mark> marks;
  const auto folder = open_dir(dir);
  if (!folder && folder.error().code == Errc::not_found) return marks;
  if (!folder) return tl::unexpected(folder.error());
  const auto names = list_dir(folder->get());
  if (!names) return tl::unexpected(names.error());
  constexpr std::string_view kRunAs = " ALL=(";
  constexpr std::string_view kUntil = ") NOTAFTER=";
  for (const std::string& name : *names) {
    const auto text = read_file(dir + "/" + name, std::size_t{1} << 20U);
    if (!text) continue;  // gone meanwhile; a rule that is not known as ours counts as somebody else's
    for (const std::string_view line : split(*text, '\n')) {
      const auto run_as = line.find(kRunAs);
      const auto until = line.find(kUntil);
      if (run_as == std::string_view::npos || until == std::string_view::npos || until < run_as) continue;
      const auto from = run_as + kRunAs.size();
      const auto stamp = line.substr(until + kUntil.size());
      marks.emplace(line.substr(from, until - from), stamp.substr(0, stamp.find(' ')));
    }
  }
  return marks;
}

// The entry of `sudo -ll` that begins at lines[at], by its indented lines.
Mark mark_of_entry(const std::vector<std::string_view>& lines, std::size_t at) {
  constexpr std::string_view kRunAs = "    RunAsUsers: ";
  constexpr std::string_view kUntil = "    NotAfter: ";
  Mark mark;
  for (++at; at < lines.size() && !lines[at].starts_with(kEntry) && !role_heading(lines[at]); ++at) {
    if (lines[at].starts_with(kRunAs)) mark.first = lines[at].substr(kRunAs.size());
    if (lines[at].starts_with(kUntil)) mark.second = lines[at].substr(kUntil.size());
  }
  return mark;
}

// `sudo -ll ... -- CMD` of sudo 1.9.14 and later: the rule that matched, with its file.
Result<void> check_winner(const std::string& listing, const SudoEffect& effect, const std::string& ours,
                          const std::string& dir) {
  const std::string command = shown(to_text(effect.command), 200);
  const auto lines = split(listing, '\n');
  const std::string file = file_of_entry(lines.front());
  if (!inside(file, dir))
    return fail(Errc::refused,
                "for " + command + " the sudo rule in " + shown(file, 200) +
                    " wins over what this grant gives: it must stand in a file that sorts before zz-jit");
  if (file != ours) return {};  // another grant of this user gives the same command: theirs to use
  std::string_view options;
  for (const std::string_view line : lines)
    if (const auto at = line.find("Options: "); at != std::string_view::npos) options = line.substr(at + 9);
  const bool nopasswd = has_option(options, "!authenticate");
  const bool recorded = has_option(options, "log_input") && has_option(options, "log_output");
  if (nopasswd != effect.nopasswd || (effect.record == Recording::required && !recorded))
    return fail(Errc::refused,
                "sudo reads the rule for " + command + " with other options than were meant: " + shown(options, 200));
  return {};
}

// What an older sudo or sudo-rs does not tell: that nothing comes after our rules, in files or from a directory.
Result<void> check_order(Spawn& spawn, const SudoTool& tool, const std::string& user, const std::string& dir,
                         const std::string& etc) {
  if (auto last = check_included_last(etc, dir, tool.rs); !last) return last;
  const auto listing = ask(spawn, {tool.sudo, "-ll", "-U", user});
  if (!listing) return tl::unexpected(listing.error());
  bool seen_files = false;
  for (const std::string_view line : split(listing->out, '\n')) {
    seen_files = seen_files || line.starts_with(kEntry);
    if (seen_files && role_heading(line))
      return fail(Errc::refused, "sudo rules of " + shown(user, 100) +
                                     " from LDAP or SSSD come after those in files and may win: " +
                                     "put \"sudoers: sss files\" (or ldap files) into " + etc + "/nsswitch.conf");
  }
  return {};
}

// That what must be recorded is, of the Defaults that sudo itself says are in force for this user.
Result<void> check_recording(Spawn& spawn, const SudoTool& tool, const std::string& user) {
  const auto listing = ask(spawn, {tool.sudo, "-l", "-U", user});
  if (!listing) return tl::unexpected(listing.error());
  return check_recording_defaults(listing->out);
}

// How one sudo is asked about one grant.
struct Question {
  const SudoTool& tool;
  const std::string& user;
  const std::string& ours;  // the drop-in's path
  const std::string& dir;
  bool may_skip;  // sudo-rs beside classic sudo, and lines in the drop-in that sudo-rs is to drop
};

// Returns whether the order of rules has still to be looked at.
Result<bool> check_effect(Spawn& spawn, const Question& question, const SudoEffect& effect) {
  const auto& [tool, user, ours, dir, may_skip] = question;
  const std::string command = shown(to_text(effect.command), 200);
  const auto allowed = ask(spawn, list_command(tool, "-l", user, effect));
  if (!allowed) return tl::unexpected(allowed.error());
  const bool yes = allowed->exit_status == 0;
  if (tool.rs && effect.record == Recording::required) {
    if (!yes) return false;
    return fail(Errc::refused, tool.sudo + " would run " + command + " by another rule, and cannot record it");
  }
  if (!yes && may_skip) return false;
  if (!yes)
    return fail(Errc::refused, tool.sudo + " does not allow " + command +
                                   " although the drop-in is there: " + shown(allowed->err, 300) + "; does it read " +
                                   dir + " and is the command installed?");
  const auto winner = ask(spawn, list_command(tool, "-ll", user, effect));
  if (!winner) return tl::unexpected(winner.error());
  if (winner->exit_status == 0 && role_heading(winner->out))
    return fail(Errc::refused, "for " + command + " a sudo rule from LDAP or SSSD wins over what this grant gives");
  if (winner->exit_status == 0 && winner->out.starts_with(kEntry) &&
      !file_of_entry(winner->out.substr(0, winner->out.find('\n'))).empty())
    return check_winner(winner->out, effect, ours, dir).map([] { return false; });
  return true;
}

}  // namespace

std::vector<std::string> sudo_paths() {
  std::vector<std::string> paths;
  for (const char* place : kSudoPlaces) {
    std::string path = resolved(place);
    if (!path.empty() && std::ranges::find(paths, path) == paths.end()) paths.push_back(std::move(path));
  }
  return paths;
}

std::vector<SudoTool> find_sudos(Spawn& spawn) {
  std::vector<SudoTool> tools;
  for (const std::string& path : sudo_paths()) {
    const auto outcome = ask(spawn, {path, "--version"});
    const std::string line = outcome ? first_line(*outcome) : std::string();
    const bool rs = line.starts_with("sudo-rs");
    tools.push_back({path, visudo_for(spawn, rs), rs, version_in(line)});
  }
  return tools;
}

const std::vector<SudoTool>& InstalledSudos::now() {
  std::string seen;
  const auto look = [&](const char* place) {
    struct stat status {};
    if (::stat(place, &status) != 0) return;
    seen += place;
    for (const auto number :
         {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size),
          static_cast<std::int64_t>(status.st_ctim.tv_sec), static_cast<std::int64_t>(status.st_ctim.tv_nsec)})
      seen += ' ' + std::to_string(number);
  };
  for (const char* place : kSudoPlaces) look(place);
  for (const char* place : kVisudoPlaces) look(place);
  if (seen != seen_ || tools_.empty()) {
    tools_ = find_sudos(spawn_);
    seen_ = std::move(seen);
  }
  return tools_;
}

SudoDialect dialect_of(const std::vector<SudoTool>& tools) {
  const auto is_rs = [](const SudoTool& tool) { return tool.rs; };
  if (std::none_of(tools.begin(), tools.end(), is_rs)) return SudoDialect::classic;
  return std::all_of(tools.begin(), tools.end(), is_rs) ? SudoDialect::sudo_rs : SudoDialect::both;
}

Result<void> Dropins::readback(Spawn& spawn, const std::vector<SudoTool>& tools, const std::string& user,
                               const Effects& effects, const std::string& grant_id, const std::string& dir,
                               const std::string& etc) {
  const std::string ours = dir + "/jit-" + grant_id;
  const auto text = read_file(ours, std::size_t{1} << 20U);
  if (!text) return tl::unexpected(text.error());
  const bool classic = std::any_of(tools.begin(), tools.end(), [](const SudoTool& tool) { return !tool.rs; });
  const bool dated = text->find("NOTAFTER=") != std::string::npos;
  const bool must_record = std::any_of(effects.sudo.begin(), effects.sudo.end(),
                                       [](const SudoEffect& effect) { return effect.record == Recording::required; });
  for (const SudoTool& tool : tools) {
    const Question question{tool, user, ours, dir, tool.rs && classic && dated};
    if (must_record && !tool.rs)
      if (auto kept = check_recording(spawn, tool, user); !kept) return kept;
    bool order_needed = false;
    for (const SudoEffect& effect : effects.sudo) {
      const auto more = check_effect(spawn, question, effect);
      if (!more) return tl::unexpected(more.error());
      order_needed = order_needed || *more;
    }
    if (!order_needed) continue;
    if (auto fine = check_order(spawn, tool, user, dir, etc); !fine) return fine;
  }
  return {};
}

Result<bool> Dropins::has_standing_rule(Spawn& spawn, const SudoTool& tool, const std::string& user,
                                        const std::string& dir) {
  const auto listing = ask(spawn, {tool.sudo, "-ll", "-U", user});
  if (!listing) return tl::unexpected(listing.error());
  bool any = false;
  std::optional<std::set<Mark>> ours;
  const auto lines = split(listing->out, '\n');
  for (std::size_t at = 0; at < lines.size(); ++at) {
    if (role_heading(lines[at])) return true;
    if (!lines[at].starts_with(kEntry)) continue;
    any = true;
    const std::string file = file_of_entry(lines[at]);
    if (file.empty()) {
      if (!ours) {
        auto marks = marks_in(dir);
        if (!marks) return tl::unexpected(marks.error());
        ours = std::move(*marks);
      }
      if (!ours->contains(mark_of_entry(lines, at))) return true;
    } else if (!inside(file, dir)) {
      return true;
    }
  }
  if (any) return false;
  // Nothing listed. sudo says so with status 0, sudo-rs by refusing to list.
  const bool said_none = listing->out.find("is not allowed to run sudo on") != std::string::npos ||
                         (tool.rs && listing->err.find("is not allowed to execute 'list' as") != std::string::npos);
  if (said_none) return false;
  return fail(Errc::unavailable, tool.sudo + " does not say what " + shown(user, 100) +
                                     " may run: " + shown(listing->err + listing->out, 300));
}

}  // namespace jit
