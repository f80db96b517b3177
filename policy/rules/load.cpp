#include "policy/rules/load.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "policy/names.hpp"
#include "policy/rules/checks.hpp"
#include "policy/rules/pattern.hpp"
#include "policy/rules/toml_reader.hpp"
#include "policy/rules/view.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

std::string in_quotes(std::string_view name) {
  return "\"" + shown(name, 256) + "\"";
}
std::string at(const Place& place) {
  return place.file + ":" + std::to_string(place.line);
}

std::string_view name_of(const PolicyText& file) {
  return std::string_view(file.file).substr(file.file.rfind('/') + 1);
}

// Digest of names and texts, each with its length before it, so that no two sets of files have the same.
Digest digest_of(const std::vector<PolicyText>& files) {
  std::string all;
  for (const PolicyText& file : files) {
    for (const std::string_view part : {name_of(file), std::string_view(file.text)}) {
      all += std::to_string(part.size()) + ":";
      all += part;
    }
  }
  return sha256(all);
}

Result<void> check_service_name(std::string_view name) {
  const bool good = !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  if (!good) return fail(Errc::invalid, in_quotes(name) + " is not the name of a PAM service (a file in /etc/pam.d)");
  if (name.size() > kMaxGateName)
    return fail(Errc::invalid, in_quotes(name) + " is longer than " + std::to_string(kMaxGateName) + " bytes");
  return {};
}

// Reads the files one after the other into one policy. What needs the whole is left to check_policy (checks.hpp).
class Loader {
 public:
  explicit Loader(Problems& problems) : problems_(problems) {}

  void read(const PolicyText& file) {
    if (file.text.size() > kMaxPolicyFile) {
      problems_.add({file.file, 1}, "", "the file is larger than " + std::to_string(kMaxPolicyFile) + " bytes");
      return;
    }
    const Result<TomlValue> root = parse_toml(file.text, file.file);
    if (!root) {
      problems_.add_whole(root.error().message);
      return;
    }
    TableReader reader(*root, file.file, "", problems_);
    if (auto defaults = reader.table("defaults")) read_defaults(*defaults);
    for (auto& [name, table] : reader.named_tables("people")) read_person(name, table);
    if (auto sets = reader.table("approvers")) read_sets(*sets);
    for (auto& [name, table] : reader.named_tables("roles")) read_role(name, table);
    for (TableReader& table : reader.tables("gates")) read_gate(table);
    reader.finish();
  }

  Policy policy;
  Mentions mentions;

 private:
  // Notes where `path` is defined; a second place is a problem that names both.
  bool first_definition(const std::string& path, const Place& place) {
    const auto [it, fresh] = defined_.emplace(path, place);
    if (!fresh) problems_.add(place, path, "is defined already at " + at(it->second) + "; keep one of them");
    return fresh;
  }

  void read_defaults(TableReader& table) {
    const Place place = table.place("max_duration");
    if (const auto duration = table.duration("max_duration");
        duration && first_definition("defaults.max_duration", place))
      mentions.default_max_duration = *duration;
    const ViewKeys view = read_view_keys(table);
    default_to(view.most, mentions.default_view.most);
    default_to(view.past, mentions.default_view.past);
    default_to(view.duration, mentions.default_view.duration);
    default_to(view.end, mentions.default_view.end);
    table.finish();
  }

  template <class T>
  void default_to(const Said<T>& said, Said<T>& key) {
    if (said.value && first_definition(said.path, said.place)) key = said;
  }

  void read_person(const std::string& name, TableReader& table) {
    table.accept("", check_policy_name(name, "person"));
    Person person;
    person.place = table.place();
    person.users = table.texts("users").value_or(std::vector<std::string>{});
    person.principals = table.texts("principals").value_or(std::vector<std::string>{});
    for (const std::string& user : person.users) {
      table.accept("users", check_user_name(user));
      mentions.users.push_back({table.place("users"), table.path("users"), user, name});
    }
    for (const std::string& principal : person.principals) {
      if (principal.empty() || unclean(principal) || principal.find_first_of(" \t\n,*?!\"#") != std::string::npos)
        table.problem("principals", in_quotes(principal) +
                                        " cannot be a principal: one literal name, without blanks, " +
                                        "commas, quotes, # or patterns");
      mentions.principals.push_back({table.place("principals"), table.path("principals"), principal, name});
    }
    table.finish();
    if (first_definition(table.path(""), person.place)) policy.people.emplace(name, std::move(person));
  }

  void read_sets(TableReader& table) {
    for (const std::string& name : table.keys()) {
      table.accept(name, check_policy_name(name, "approver set"));
      const auto members = table.texts(name);
      if (!members) continue;
      for (const std::string& member : *members) {
        if (member.starts_with('@')) {
          table.problem(name, in_quotes(member) +
                                  " is a group; name people or users, since whoever edits a group would " +
                                  "choose the approvers");
        } else {
          table.accept(name, check_user_name(member));
        }
      }
      if (first_definition(table.path(name), table.place(name))) {
        policy.approvers.emplace(name, *members);
        mentions.sets.push_back({table.place(name), table.path(name), name, ""});
      }
    }
  }

  // "alice", "@dba" or (where it makes sense) "*".
  std::vector<Subject> subjects(TableReader& table, std::string_view key, bool everybody) {
    std::vector<Subject> result;
    for (const std::string& text : table.texts(key).value_or(std::vector<std::string>{})) {
      if (text == "*" && everybody) {
        result.push_back({Subject::Kind::everybody, ""});
      } else if (text == "*") {
        table.problem(key, "\"*\" cannot stand here; name users, or groups as \"@group\"");
      } else if (text.starts_with('@')) {
        if (table.accept(key, check_group_name(text.substr(1))))
          result.push_back({Subject::Kind::group, text.substr(1)});
      } else if (table.accept(key, check_user_name(text))) {
        result.push_back({Subject::Kind::user, text});
      }
    }
    return result;
  }

  std::vector<std::string> names(TableReader& table, std::string_view key, Result<void> (*check)(std::string_view)) {
    std::vector<std::string> result = table.some_texts(key).value_or(std::vector<std::string>{});
    for (const std::string& name : result) table.accept(key, check(name));
    return result;
  }

  void read_role(const std::string& name, TableReader& table) {
    table.accept("", check_policy_name(name, "role"));
    Role role;
    role.name = name;
    role.place = table.place();
    role.description = table.line_of_text("description");
    role.eligible = subjects(table, "eligible", true);
    if (!table.has("eligible")) table.problem("eligible", "is missing: who may ask for the role? [] is nobody");
    role.segments = names(table, "segments", [](std::string_view n) { return check_policy_name(n, "segment"); });
    role.groups = names(table, "groups", check_group_name);
    role.opens = names(table, "opens", [](std::string_view n) { return check_policy_name(n, "gate"); });
    role.dangerous = table.flag("dangerous").value_or(false);
    role.max_duration = table.duration("max_duration").value_or(Seconds{0});
    const std::string on_end = table.text("on_end").value_or("terminate");
    if (on_end != "terminate" && on_end != "leave") table.problem("on_end", "must be \"terminate\" or \"leave\"");
    role.terminate_on_end = on_end != "leave";
    const ViewKeys view = read_view_keys(table);
    for (TableReader& sudo : table.tables("sudo")) read_sudo(sudo, role);
    for (TableReader& rule : table.tables("rules")) read_rule(rule, role);
    table.finish();

    mentions.roles.push_back({role.place, table.path(""), name, ""});
    for (const std::string& gate : role.opens)
      mentions.opened.push_back({table.place("opens"), table.path("opens"), gate, name});
    for (const std::string& group : role.groups) {
      mentions.given.push_back({table.place("groups"), table.path("groups"), group, name});
      if (!role.dangerous && root_equivalent_group(group))
        table.problem("groups", in_quotes(group) + " is as good as root; say dangerous = true if that is meant");
    }
    if (!first_definition(table.path(""), role.place)) return;
    mentions.views.emplace(name, view);
    policy.roles.emplace(name, std::move(role));
  }

  void read_sudo(TableReader& table, Role& role) {
    SudoRule sudo;
    sudo.as = table.text("as").value_or("");
    if (!table.has("as")) {
      table.problem("as", "is missing: the user to run as");
    } else if (sudo.as == "ALL" || sudo.as.starts_with('%')) {
      table.problem("as", in_quotes(sudo.as) + " is not a user; name one");
    } else {
      table.accept("as", check_user_name(sudo.as));
    }
    if (!table.has("commands")) table.problem("commands", "is missing: the commands that the role runs");
    for (const std::string& text : table.some_texts("commands").value_or(std::vector<std::string>{})) {
      const Result<Command> command = parse_command(text);
      if (!table.accept("commands", command)) continue;
      if (command->path.ends_with('/')) {
        table.problem("commands", in_quotes(text) + " is a directory; name each command");
        continue;
      }
      if (command->path == "ALL" && !role.dangerous) {
        table.problem("commands", "\"ALL\" needs dangerous = true in the role");
      } else if (sudo.as == "root" && !role.dangerous && root_equivalent_command(*command)) {
        table.problem("commands", in_quotes(text) +
                                      " as root is as good as any command as root; say dangerous = true in " +
                                      "the role if that is meant");
      }
      sudo.commands.push_back(*command);
    }
    sudo.password = table.flag("password").value_or(true);
    sudo.record = read_recording(table);
    table.finish();
    role.sudo.push_back(std::move(sudo));
  }

  // true, false or "best-effort".
  static Recording read_recording(TableReader& table) {
    if (!table.is_text("record")) return table.flag("record").value_or(false) ? Recording::required : Recording::none;
    if (table.text("record") == "best-effort") return Recording::best_effort;
    table.problem("record", "must be true, false or \"best-effort\"");
    return Recording::required;
  }

  void read_rule(TableReader& table, Role& role) {
    Rule rule;
    rule.place = table.place();
    rule.name = table.line_of_text("name");
    rule.message = table.line_of_text("message");
    if (auto when = table.table("when")) rule.when = read_when(*when);
    const std::string then = table.text("then").value_or("");
    if (then == "approve") {
      rule.then = Rule::Then::approve;
    } else if (then == "review") {
      rule.then = Rule::Then::review;
    } else if (then != "deny") {
      table.problem("then", table.has("then") ? "must be \"approve\", \"deny\" or \"review\""
                                              : "is missing: \"approve\", \"deny\" or \"review\"");
    }
    for (TableReader& entry : table.tables("approvals")) {
      Approval approval;
      approval.by = entry.text("by").value_or("");
      if (!entry.has("by")) entry.problem("by", "is missing: the name of a set in [approvers]");
      approval.count = static_cast<unsigned>(entry.number("count", 1, kMaxCount).value_or(1));
      entry.finish();
      if (!approval.by.empty())
        mentions.asked.push_back({entry.place("by"), entry.path("by"), approval.by, role.name});
      rule.approvals.push_back(approval);
    }
    if (then == "review" && rule.approvals.empty())
      table.problem("approvals", "is missing: by whom, for example [ { by = \"leads\", count = 1 } ]");
    if (then != "review" && table.has("approvals"))
      table.problem("approvals", "has no meaning but with then = \"review\"");
    if (auto limits = table.table("limits")) {
      rule.limit_duration = limits->duration("duration");
      rule.limit_total = limits->duration("total");
      if (rule.limit_total && then != "approve")
        limits->problem("total",
                        "has a meaning only with then = \"approve\": it bounds what is given without a person");
      if (rule.limit_total && rule.limit_duration && *rule.limit_total < *rule.limit_duration)
        limits->problem("total", "is shorter than duration, so that the rule would never give that much");
      limits->finish();
      if (then == "deny") table.problem("limits", "has no meaning with then = \"deny\"");
    }
    table.finish();
    mentions.rules.push_back({table.place("approvals"), table.path("approvals"), role.name, "", role.rules.size()});
    role.rules.push_back(std::move(rule));
  }

  When read_when(TableReader& table) {
    When when;
    when.users = names(table, "users", check_user_name);
    when.groups = names(table, "groups", check_group_name);
    for (const std::string_view key : {"users", "groups"})
      for (const std::string& name : key == "users" ? when.users : when.groups)
        if (name.starts_with('@')) table.problem(key, "write groups without @, under groups");
    when.duration = table.duration("duration");
    when.ticket = table.text("ticket");
    if (when.ticket) table.accept("ticket", Pattern::parse(*when.ticket));
    table.finish();
    return when;
  }

  void read_gate(TableReader& table) {
    Gate gate;
    gate.place = table.place();
    gate.name = table.text("name").value_or("");
    if (!table.has("name")) {
      table.problem("name", "is missing");
    } else if (table.accept("name", check_policy_name(gate.name, "gate")) && gate.name.size() > kMaxGateName) {
      table.problem("name", "is longer than " + std::to_string(kMaxGateName) + " characters");
    }
    gate.services = names(table, "services", check_service_name);
    if (!table.has("services")) table.problem("services", "is missing: the PAM services that the gate stands before");
    gate.users = subjects(table, "users", true);
    if (!table.has("users")) table.problem("users", "is missing: whom the gate holds; [\"*\"] is everybody");
    gate.except = subjects(table, "except", false);
    for (const Subject& subject : gate.except)
      if (subject.kind == Subject::Kind::group)
        mentions.excepted.push_back({table.place("except"), table.path("except"), subject.name, gate.name});
    const std::string mode = table.text("mode").value_or("observe");
    if (mode != "observe" && mode != "enforce") table.problem("mode", "must be \"observe\" or \"enforce\"");
    gate.enforce = mode == "enforce";
    gate.help = table.line_of_text("help");
    table.finish();
    if (gate.name.empty() || !first_definition("gates \"" + shown(gate.name, 100) + "\"", gate.place)) return;
    services_.insert(gate.services.begin(), gate.services.end());
    if (policy.gates.size() == kMaxGates)
      table.problem("name", "is of one gate too many: a host has at most " + std::to_string(kMaxGates));
    if (services_.size() > kMaxServices)
      table.problem("services", "is one too many: all gates have at most " + std::to_string(kMaxServices));
    policy.gates.push_back(std::move(gate));
  }

  Problems& problems_;
  std::map<std::string, Place> defined_;
  std::set<std::string> services_;  // of all gates
};

}  // namespace

Result<Policy> load_policy(std::vector<PolicyText> files, std::vector<std::string>* all) {
  std::sort(files.begin(), files.end(), [](const PolicyText& a, const PolicyText& b) {
    return std::pair(name_of(a), std::string_view(a.file)) < std::pair(name_of(b), std::string_view(b.file));
  });
  Problems problems;
  Loader loader(problems);
  for (const PolicyText& file : files) loader.read(file);
  check_policy(loader.policy, loader.mentions, problems);
  if (all != nullptr) *all = problems.texts();
  if (!problems.none()) return tl::unexpected<Error>(problems.error());
  loader.policy.digest = digest_of(files);
  return std::move(loader.policy);
}

}  // namespace jit
