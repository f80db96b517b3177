#include "jitctl/trust_host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "jitctl/approver_config.hpp"
#include "jitctl/host_memory.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/enrolment.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxLines = 4096;
constexpr std::string_view kAdded = "added ";  // in a line's comment

Result<std::string> text_of(Context& context, const std::vector<std::string>& what) {
  if (what.size() > 1 || what.front().starts_with("jit-enrolment")) {
    std::string line;
    for (const auto& word : what) line += (line.empty() ? "" : " ") + word;
    return line;
  }
  if (what.front() != "-") return read_file(what.front(), kMaxLines * kMaxEnrolment);
  std::string text;
  for (std::string line; text.size() < kMaxLines * kMaxEnrolment && std::getline(context.in, line);)
    text += line + "\n";
  return text;
}

Result<std::string> path_of(const Context& context, const HostOptions& options) {
  if (!options.file.empty()) return options.file;
  const auto config = read_approver_config(context);
  if (!config) return tl::unexpected(config.error());
  if (!config->hosts.empty()) return config->hosts;
  if (context.uid == 0) return context.places.etc_jit + "/trust/hosts";
  const auto own = own_config(context);
  if (own.empty()) return fail(Errc::invalid, "no home directory for ~/.config/jit/hosts; name the file with --file");
  return own + "/hosts";
}

std::string added_when(const TrustLine& line) {
  const auto at = line.comment.find(kAdded);
  if (at == std::string::npos) return "when that was added is not known";
  return "added " + shown(line.comment.substr(at + kAdded.size(), 20), 40);
}

// A message for people; an Error when it was refused.
Result<std::string> add_one(Context& context, const std::string& path, const TrustFile& known,
                            const Enrolment& enrolment, bool replace) {
  if (auto box = Box::from_host(enrolment.host); !box) return tl::unexpected(box.error());
  const auto print = fingerprint(enrolment.key);
  const TrustLine* before = nullptr;
  for (const auto& line : known.lines) {
    if (line.key == enrolment.key && line.principal != enrolment.host) {
      return fail(Errc::refused,
                  fmt::format("{}: has the key of {}, {}: one is a copy of the other; on the copy: jitctl enrol "
                              "--new-key",
                              enrolment.host, shown(line.principal), print));
    }
    if (line.principal == enrolment.host && line.key == enrolment.key)
      return fmt::format("{}: is there already, {}", enrolment.host, print);
    if (line.principal == enrolment.host) before = &line;
  }
  if (before != nullptr && !replace) {
    return fail(Errc::refused,
                fmt::format("{}: is known by another key, {} ({}); this one is {}. Installed anew, or somebody who "
                            "says so? If you are sure: --replace",
                            enrolment.host, fingerprint(before->key), added_when(*before), print));
  }
  auto text = read_file(path, kMaxTrustFile);
  if (!text && text.error().code != Errc::not_found) return tl::unexpected(text.error());
  std::string after = text ? *text : "";
  if (before != nullptr) {
    const auto removed = without_trust_lines(path, after, enrolment.host);
    if (!removed) {
      return fail(Errc::refused,
                  fmt::format("{}: its other key stands in another file than {}: take it out there first",
                              enrolment.host, path));
    }
    after = removed->text;
  }
  TrustLine line;
  line.principal = enrolment.host;
  line.key = enrolment.key;
  line.namespaces = namespaces_of("hosts");
  line.comment = std::string(kAdded) + format_utc(context.now());
  const auto with = with_trust_line(path, after, line);
  if (!with) return tl::unexpected(with.error());
  if (auto written = write_trust(path, *with); !written) return tl::unexpected(written.error());
  (void)forget_host(context, enrolment.host);  // of a key before nothing is of use
  if (before == nullptr) return fmt::format("{}: {} (compare it with what the host said)", enrolment.host, print);
  return fmt::format("{}: {} in the place of {} ({})", enrolment.host, print, fingerprint(before->key),
                     added_when(*before));
}

}  // namespace

Outcome trust_hosts(Context& context, const HostOptions& options) {
  const auto path = path_of(context, options);
  if (!path) return tl::unexpected(path.error());
  if (path->starts_with(context.places.etc_jit + "/")) {
    if (auto root = need_root(context, "changing " + *path); !root) return tl::unexpected(root.error());
  }
  const auto text = text_of(context, options.what);
  if (!text) return tl::unexpected(text.error());
  std::vector<std::string> lines;
  for (const auto line : split(*text, '\n')) {
    if (!only_blanks(line) && !line.starts_with('#')) lines.emplace_back(line);
  }
  if (lines.empty()) return fail(Errc::invalid, "no line of 'jitctl enrol' in it");
  if (lines.size() > kMaxLines) return fail(Errc::invalid, fmt::format("more than {} lines", kMaxLines));
  Exit worst = Exit::done;
  std::vector<std::string> objects;
  for (const auto& line : lines) {
    const auto enrolment = read_enrolment(line);
    // Read again each time: the line before may have been of the same host, or of a copy of it.
    auto known = known_hosts(context, options.file);
    if (!known && known.error().code == Errc::not_found) known = parse_trust(*path, "");  // its first line
    if (!known) return tl::unexpected(known.error());
    const auto added = enrolment ? add_one(context, *path, *known, *enrolment, options.replace)
                                 : Result<std::string>(tl::unexpected(enrolment.error()));
    if (!added && lines.size() == 1 && !context.json) return tl::unexpected(added.error());
    if (!added) worst = exit_of(added.error());
    if (context.json) {
      JsonObject object;
      if (enrolment) object.text("host", enrolment->host).text("host_key", fingerprint(enrolment->key));
      object.boolean("trusted", added.has_value()).text("message", added ? *added : added.error().message);
      objects.push_back(object.text("file", *path).str());
    } else if (added) {
      context.out << shown(*added) << '\n';
    } else {
      complain(context, added.error().message);
    }
  }
  if (context.json) context.out << json_list(objects) << '\n';
  return worst;
}

}  // namespace jit::ctl
