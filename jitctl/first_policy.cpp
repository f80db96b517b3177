#include "jitctl/first_policy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/names.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

// Names reach here through checks that leave '"' and '\' out of all but user and group names.
std::string in_quotes(const std::string& name) {
  std::string text = "\"";
  for (const char byte : name) {
    if (byte == '"' || byte == '\\') text += '\\';
    text += byte;
  }
  return text + "\"";
}

std::string list(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const auto& name : names) text += (text.size() > 1 ? ", " : "") + in_quotes(name);
  return text + "]";
}

struct GateText {
  std::string name;
  std::vector<std::string> services;
};

GateText gate_of(const std::string& service) {
  if (service == "sudo" || service == "sudo-i") return {"sudo", {"sudo", "sudo-i"}};
  if (service == "su" || service == "su-l") return {"su", {"su", "su-l"}};
  return {service, {service}};
}

}  // namespace

Result<std::string> first_policy(const FirstRole& first) {
  std::string text = fmt::format(
      "# Written by jitctl setup as a start: yours to change. jit-policy(5) has every key; `jitctl policy check` "
      "tells what is\n"
      "# wrong before anything changes, and a file with an error leaves the last good policy in force.\n"
      "\n"
      "[defaults]\n"
      "max_duration = \"4h\"              # no grant of a role that does not say otherwise is longer\n"
      "\n"
      "[approvers]\n"
      "first = [{}]                # people who may approve; their keys stand in /etc/jit/trust/approvers\n"
      "revokers = [{}]             # people who may end, lock and unlock anything\n"
      "\n"
      "[roles.{}]\n"
      "eligible = {}      # who may ask for it: users, and @group\n",
      in_quotes(first.approver), in_quotes(first.approver), first.role, list(first.eligible));
  text += first.groups.empty()
              ? "# groups = [\"adm\"]                # groups of this host that it gives\n"
              : fmt::format("groups = {}              # groups of this host that it gives\n", list(first.groups));
  std::vector<std::string> opens;
  for (const auto& service : first.gates) {
    const auto gate = gate_of(service).name;
    if (gate != "sudo" && gate != "su" && std::find(opens.begin(), opens.end(), gate) == opens.end())
      opens.push_back(gate);
  }
  if (first.groups.empty() && opens.empty()) {
    return fail(
        Errc::invalid,
        "a first role must give something: --groups GROUP, or --gate SERVICE (not sudo or su: those want sudo "
        "commands too, which are written by hand)");
  }
  if (!opens.empty()) text += fmt::format("opens = {}                # gates below that it opens\n", list(opens));
  text += fmt::format(
      "\n"
      "[[roles.{}.rules]]        # the first rule that matches decides; none: deny\n"
      "then = \"review\"                   # or \"approve\": by itself, or \"deny\"\n"
      "approvals = [{{ by = \"first\", count = 1 }}]\n"
      "\n"
      "# Sudo commands are given only where a gate on sudo is enforced and the role opens it:\n"
      "# [[roles.{}.sudo]]\n"
      "# as = \"root\"\n"
      "# commands = [\"/usr/bin/systemctl restart nginx\"]   # exactly; \" ...\" at the end allows any arguments\n",
      first.role, first.role);
  std::vector<std::string> written;
  for (const auto& service : first.gates) {
    const auto gate = gate_of(service);
    if (std::find(written.begin(), written.end(), gate.name) != written.end()) continue;
    written.push_back(gate.name);
    text += fmt::format(
        "\n"
        "[[gates]]\n"
        "name = {}\n"
        "services = {}\n"
        "users = [\"*\"]\n"
        "except = {}                 # local accounts and @groups\n"
        "mode = \"observe\"                  # or \"enforce\": then `jitctl gate enforce` refuses who has no grant\n"
        "help = \"Ask with: jitctl request {} -m why\"\n",
        in_quotes(gate.name), list(gate.services), list(first.exempt), first.role);
  }
  if (auto good = check_policy_name(first.role, "role"); !good) return tl::unexpected(good.error());
  if (auto loaded = load_policy({{"the first policy", text}}); !loaded) return tl::unexpected(loaded.error());
  return text;
}

Result<std::string> with_host(std::string_view config, const std::string& host) {
  if (auto good = check_host_name(host); !good) return tl::unexpected(good.error());
  const auto line = fmt::format("host = {}\n", in_quotes(host));
  std::string after;
  bool placed = false;
  bool in_table = false;
  while (!config.empty()) {
    const auto end = std::min(config.find('\n'), config.size() - 1);
    const auto raw = config.substr(0, end + 1);
    config.remove_prefix(end + 1);
    if (!in_table && (raw.starts_with("host ") || raw.starts_with("host="))) {
      if (!placed) after += line;
      placed = true;
      continue;
    }
    if (!placed && raw.starts_with("[")) {
      after += line + "\n";
      placed = true;
    }
    in_table = in_table || raw.starts_with("[");
    after += raw;
    // The commented default of the packaged file is where people look for it.
    if (!placed && raw.starts_with("# host = ")) {
      after += line;
      placed = true;
    }
  }
  if (!after.empty() && after.back() != '\n') after += '\n';
  if (!placed) after += line;
  return after;
}

}  // namespace jit::ctl
