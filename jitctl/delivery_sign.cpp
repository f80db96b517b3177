// jitctl policy sign, jitctl trust sign: the files of a policy, or trust files, as documents that owners sign and
// hosts take over.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "jitctl/arguments.hpp"
#include "jitctl/delivered.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitd/sys/files.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

// Of a document's 32 KiB, so that many owners' signatures fit behind it.
constexpr std::size_t kMostPayload = std::size_t{24} * 1024;
constexpr std::size_t kMostFiles = 1000;

struct Options {
  std::string directory;
  std::vector<std::string> files;
  std::uint64_t number = 0;
  std::string reason;
  Where where;
  SignOptions sign;
};

// Whether a part of these files fits a document, whatever else stands in it.
bool fit(const std::vector<Delivery::File>& files) {
  std::size_t bytes = 0;
  for (const auto& file : files) bytes += file.text.size();
  if (bytes > kMostPayload) return false;  // each takes one there, or more
  PolicyDocument document;
  document.files = files;
  document.reason.assign(kMaxReason, '.');
  return to_payload(document).size() <= kMostPayload;
}

// As much of `text`, whole lines, as fits behind what is in `part`; 0: nothing.
std::size_t room_for(std::vector<Delivery::File> part, const std::string& name, std::string_view text) {
  part.push_back({name, ""});
  std::vector<std::size_t> ends;
  for (auto next = text.find('\n'); next < kMostPayload; next = text.find('\n', next + 1)) ends.push_back(next + 1);
  const auto beyond = std::ranges::partition_point(ends, [&](std::size_t end) {
    part.back().text = text.substr(0, end);
    return fit(part);
  });
  return beyond == ends.begin() ? 0 : *std::prev(beyond);
}

// Signs each part and writes it into the folder of -o, or hands it to the local jitd.
template <class Kind>
Outcome sign_parts(Context& context, const Options& options, const std::vector<Delivery::File>& files) {
  const auto parts = in_parts(files);
  if (!parts) return tl::unexpected(parts.error());
  const auto where = where_to(context, options.where);
  if (!where) return tl::unexpected(where.error());
  if (!options.sign.out.empty()) {
    std::error_code ignored;
    std::filesystem::create_directory(options.sign.out, ignored);
    if (!is_directory(options.sign.out)) return fail(Errc::invalid, fmt::format("{}: no folder", options.sign.out));
  }
  auto worst = Exit::done;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    Kind document;
    document.hosts = where->hosts;
    document.segments = where->segments;
    document.number = options.number;
    document.part = i + 1;
    document.parts = parts->size();
    document.created = context.now();
    document.reason = options.reason;
    document.files = (*parts)[i];
    document.nonce = make_nonce();
    const auto text = signed_document(context, document, options.sign.key);
    if (!text) return tl::unexpected(text.error());
    auto to = options.sign;
    if (!to.out.empty())
      to.out += fmt::format("/{}-{}-{}.jit", kind_name(kind_of(document)), options.number, document.part);
    const auto done = hand_over(context, *text, to);
    if (!done) return done;
    if (*done != Exit::done) worst = *done;
  }
  return worst;
}

Outcome sign_policy(Context& context, const Options& options) {
  const auto dir = open_dir(options.directory);
  if (!dir) return tl::unexpected(dir.error());
  const auto names = list_dir(dir->get(), kMostFiles);
  if (!names) return within(options.directory, names.error());
  std::vector<Delivery::File> files;
  std::vector<PolicyText> texts;
  for (const auto& name : *names) {
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    auto text = read_file_at(dir->get(), name, kMaxPolicyFile);
    if (!text) return within(options.directory, text.error());
    texts.push_back({options.directory + "/" + name, *text});
    files.push_back({name, std::move(*text)});
  }
  if (files.empty()) return fail(Errc::not_found, fmt::format("{}: no .toml file in it", options.directory));
  // It may well need what hosts have of their own; whether it loads with that, each of them says.
  if (const auto policy = load_policy(std::move(texts)); !policy)
    complain(context, "by itself this policy does not load: " + policy.error().message);
  return sign_parts<PolicyDocument>(context, options, files);
}

Outcome sign_trust(Context& context, const Options& options) {
  std::vector<Delivery::File> files;
  for (const auto& path : options.files) {
    auto text = read_file(path, kMaxTrustFile);
    if (!text) return tl::unexpected(text.error());
    if (const auto file = parse_trust(path, *text); !file.bad.empty()) return tl::unexpected(file.bad.front());
    files.push_back({path.substr(path.rfind('/') + 1), std::move(*text)});
  }
  return sign_parts<TrustDocument>(context, options, files);
}

void add_options(Command& command, Options& options) {
  command.add_option("--number", options.number, "Above that of the last delivery")->required()->type_name("N");
  add_where(command, options.where);
  add_reason(command, options.reason);
  command.add_option("--key", options.sign.key, "Sign with this key: a private key, or a .pub that the agent holds")
      ->type_name("FILE");
  command
      .add_option("-o,--output", options.sign.out,
                  "Write the documents into this folder instead of handing them over")
      ->type_name("DIR");
}

}  // namespace

Result<std::vector<std::vector<Delivery::File>>> in_parts(const std::vector<Delivery::File>& files) {
  std::vector<std::vector<Delivery::File>> parts(1);
  for (const auto& file : files) {
    std::string_view rest = file.text;
    do {
      auto with = parts.back();
      with.push_back({file.name, std::string(rest)});
      if (fit(with)) {
        parts.back() = std::move(with);
        break;
      }
      const auto room = room_for(parts.back(), file.name, rest);
      if (room > 0) parts.back().push_back({file.name, std::string(rest.substr(0, room))});
      if (room == 0 && parts.back().empty())
        return fail(Errc::invalid, fmt::format("{}: a line in it is too long for a document", file.name));
      rest.remove_prefix(room);
      parts.emplace_back();
    } while (!rest.empty());
  }
  if (parts.back().empty()) parts.pop_back();
  if (parts.size() > kMaxParts)
    return fail(Errc::invalid, fmt::format("that is more than {} documents hold", kMaxParts));
  return parts;
}

void add_policy_sign(Commands& commands, Command* family) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add_below(family, "sign", "Sign the files of a policy for hosts, as an owner",
                                     [&context, options] { return sign_policy(context, *options); });
  command->add_option("dir", options->directory, "Folder with the .toml files")->required()->type_name("DIR");
  add_options(*command, *options);
}

void add_trust_sign(Commands& commands, Command* family) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add_below(family, "sign", "Sign trust files for hosts, as an owner",
                                     [&context, options] { return sign_trust(context, *options); });
  command->add_option("files", options->files, "Files named approvers or requesters")->required()->type_name("FILE");
  add_options(*command, *options);
}

}  // namespace jit::ctl
