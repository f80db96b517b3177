// jitctl source clean: takes away what nobody needs any more. Nobody else does, but etcd by its leases.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "jitctl/elsewhere.hpp"
#include "jitctl/output.hpp"
#include "jitctl/parcels.hpp"
#include "jitctl/source.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxListed = 100000;  // of one box
constexpr std::size_t kMaxBoxes = 100000;

struct Options {
  std::string source;
  std::vector<std::string> segments;
  bool dry = false;
};

struct Cleaned {
  std::size_t removed = 0, left = 0, unreadable = 0;
};

// By what it says of itself, whoever signed it: what a host would refuse for its age is of no use to anybody.
// Deliveries do not get old: a host that comes back after months needs the policy.
bool is_over(const Document& document, WallTime now) {
  const auto kind = kind_of(document);
  return kind != Kind::policy && kind != Kind::trust && needed_until(document) <= now;
}

// Names of the folders in a folder.
std::vector<std::string> folders_in(const std::string& path) {
  const auto dir = open_dir(path);
  if (!dir) return {};
  auto names = list_dir(dir->get(), kMaxBoxes);
  return names ? std::move(*names) : std::vector<std::string>{};
}

std::vector<Box> boxes_of(const Elsewhere& elsewhere, const SourceSpec& spec, const Options& options) {
  std::set<std::string> hosts(elsewhere.hosts().begin(), elsewhere.hosts().end());
  std::set<std::string> segments(options.segments.begin(), options.segments.end());
  if (spec.type == SourceSpec::Type::directory) {
    for (auto& name : folders_in(spec.path + "/to")) hosts.insert(std::move(name));
    for (auto& name : folders_in(spec.path + "/to/segment")) segments.insert(std::move(name));
  }
  std::vector<Box> boxes;
  for (const auto& host : hosts) {
    if (auto box = Box::to_host(host)) boxes.push_back(std::move(*box));
  }
  for (const auto& segment : segments) {
    if (auto box = Box::to_segment(segment)) boxes.push_back(std::move(*box));
  }
  return boxes;
}

Result<void> clean_box(Context& context, Mailbox& mailbox, const Box& box, const Options& options, Cleaned& cleaned) {
  std::map<std::string, Item> items;
  const auto note = [&](const Item& item) {
    items.emplace(item.name, item);
    return items.size() < kMaxListed;
  };
  if (auto listed = mailbox.list(box, note); !listed) return listed;
  for (const auto& [name, item] : items) {
    auto text = mailbox.get(box, item);
    if (!text && text.error().code == Errc::not_found) continue;
    if (!text && text.error().code == Errc::unavailable) return tl::unexpected(text.error());
    const auto parcel = text ? parcel_of(std::move(*text), name) : Result<Parcel>(tl::unexpected(text.error()));
    if (!parcel) {
      ++cleaned.unreadable;
    } else if (!is_over(parcel->document, context.now())) {
      ++cleaned.left;
    } else {
      if (!options.dry) {
        if (auto gone = mailbox.remove(box, name); !gone) return gone;
      }
      ++cleaned.removed;
    }
  }
  return {};
}

Outcome clean(Context& context, const Options& options) {
  auto elsewhere = Elsewhere::open(context, {{options.source}, {}, false, {}});
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  auto& source = elsewhere->sources().front();
  Cleaned cleaned;
  Exit worst = Exit::done;
  for (const auto& box : boxes_of(*elsewhere, source.spec, options)) {
    const auto done = clean_box(context, *source.mailbox, box, options, cleaned);
    if (done) continue;
    if (done.error().code == Errc::unavailable) return within(label_of(source.spec), done.error());
    complain(context, fmt::format("{}: {}", box.path(), done.error().message));
    worst = Exit::failed;
  }
  if (context.json) {
    context.out << JsonObject()
                       .number("removed", cleaned.removed)
                       .number("left", cleaned.left)
                       .number("unreadable", cleaned.unreadable)
                       .str()
                << '\n';
    return worst;
  }
  context.out << fmt::format("{} expired document{} {}, {} left", cleaned.removed, cleaned.removed == 1 ? "" : "s",
                             options.dry ? "would be removed" : "removed", cleaned.left);
  if (cleaned.unreadable > 0) context.out << fmt::format(", and {} that are no documents", cleaned.unreadable);
  context.out << '\n';
  return worst;
}

}  // namespace

void add_source_clean(Commands& commands, Command* source) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add_below(source, "clean", "Take away documents that have expired",
                                     [&context, options] { return clean(context, *options); });
  command->add_option("source", options->source, "A name in approver.toml, a URL, a folder")
      ->required()
      ->type_name("URL|NAME");
  command->add_option("--segment", options->segments, "Also of this segment (in a folder all are found)")
      ->type_name("NAME");
  command->add_flag("--dry-run", options->dry, "Only count");
}

}  // namespace jit::ctl
