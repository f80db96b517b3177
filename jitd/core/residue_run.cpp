#include "jitd/core/residue_run.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "jitd/sys/files.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {

std::vector<std::string> residue_places(const std::vector<ResidueQuery>& queries, const std::string& etc,
                                        const std::vector<std::string>& more) {
  std::vector<std::string> places = {"/tmp", "/var/tmp", "/dev/shm"};
  const auto add = [&](const std::string& place) {
    if (!place.starts_with('/') || place == "/" || std::ranges::find(places, place) != places.end()) return;
    places.push_back(place);
  };
  const auto accounts = LocalAccounts::read(etc);
  for (const ResidueQuery& query : queries) {
    add("/run/user/" + std::to_string(query.user));
    std::set<std::uint32_t> users(query.owners.begin(), query.owners.end());
    users.insert(query.user);
    for (const std::uint32_t uid : users)
      if (const LocalUser* user = accounts ? accounts->user(uid) : nullptr; user != nullptr) add(user->home);
  }
  for (const std::string& place : more) add(place);
  return places;
}

void add_own_groups(std::vector<ResidueQuery>& queries, const std::string& etc) {
  const auto accounts = LocalAccounts::read(etc);
  if (!accounts) return;
  for (ResidueQuery& query : queries)
    for (const std::uint32_t uid : query.owners)
      if (const LocalUser* user = accounts->user(uid); user != nullptr) query.groups.insert(user->gid);
}

std::vector<ResidueFound> changed_meanwhile(const ResidueQuery& query, const LocalAccounts& accounts,
                                            const std::string& root) {
  std::vector<ResidueFound> found;
  const auto look = [&](const std::string& path, std::optional<uid_t> of) {
    struct stat seen {};
    if (::lstat((root + path).c_str(), &seen) != 0 || !(S_ISREG(seen.st_mode) || S_ISLNK(seen.st_mode))) return;
    if (seen.st_ctim.tv_sec < query.since || (of && seen.st_uid != *of)) return;
    found.push_back({query.grant, path, "changed since the grant began", ""});
  };
  const auto look_in = [&](const std::string& folder, uid_t of) {
    const auto dir = open_dir(root + folder);
    const auto names = dir ? list_dir(dir->get()) : tl::unexpected(dir.error());
    for (const std::string& name : names.value_or(std::vector<std::string>{})) look(folder + "/" + name, of);
  };
  for (const uid_t owner : query.owners) {
    if (const LocalUser* user = accounts.user(owner); user != nullptr && check_user_name(user->name)) {
      look("/var/spool/cron/crontabs/" + user->name, std::nullopt);
      look("/var/spool/cron/" + user->name, std::nullopt);
      look("/var/lib/systemd/linger/" + user->name, std::nullopt);
      for (const char* file : {"/.ssh/authorized_keys", "/.ssh/authorized_keys2", "/.ssh/rc", "/.forward",
                               "/.profile", "/.bash_profile", "/.bashrc", "/.zshenv"})
        look(user->home + file, std::nullopt);
      look_in(user->home + "/.config/systemd/user", owner);
    }
    // Units that its own manager was told of alone, as by systemd-run(1), are there while they run.
    const std::string manager = "/run/user/" + std::to_string(owner) + "/systemd";
    for (const std::string& folder : {std::string("/var/spool/cron/atjobs"), std::string("/var/spool/at"),
                                      manager + "/transient", manager + "/user"})
      look_in(folder, owner);
  }
  return found;
}

std::string residue_text(const ResidueReport& report, const std::string& grant) {
  std::string text = "looked at " + std::to_string(report.looked) + " files";
  if (!report.cut_short.empty()) text += ", not at all of them: " + report.cut_short;
  text += "\n";
  for (const ResidueFound& found : report.found) {
    if (found.grant != grant) continue;
    text += shown(found.path, 400) + " was " + found.what;
    if (!found.not_done.empty()) text += " and still is: " + shown(found.not_done, 500);
    text += "\n";
  }
  if (report.more > 0) text += "and more, " + std::to_string(report.more) + " of all grants that ended then\n";
  return text;
}

int residue_main(const Paths& paths) {
  const auto config = read_host_config(paths);
  ResidueNotes notes(system_files(), paths.run + "/residue");
  for (;;) {
    auto queries = notes.to_look_for();
    if (queries.empty()) return 0;
    add_own_groups(queries, paths.etc);
    const auto places =
        residue_places(queries, paths.etc, config ? config->residue_paths : std::vector<std::string>());
    ResidueReport report = find_residue(queries, places, {});
    if (const auto accounts = LocalAccounts::read(paths.etc))
      for (const ResidueQuery& query : queries)
        for (ResidueFound& found : changed_meanwhile(query, *accounts)) report.found.push_back(std::move(found));
    for (const ResidueQuery& query : queries) {
      if (const auto said = notes.report(query.grant, residue_text(report, query.grant)); !said) {
        (void)std::fprintf(stderr, "jitd: %s\n", shown(said.error().message).c_str());
        return 1;
      }
    }
  }
}

}  // namespace jit
