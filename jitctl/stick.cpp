#include "jitctl/stick.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

#include "jitctl/approver_config.hpp"
#include "jitctl/handover.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::size_t kMaxListed = 10000;  // of one box

Result<std::unique_ptr<Mailbox>> mailbox_in(Context& context, const std::string& directory) {
  std::error_code failed;
  const auto whole = std::filesystem::absolute(directory, failed).lexically_normal();
  if (failed) return fail_errno(failed.value(), directory);
  auto spec = parse_source_url(whole.string());
  if (!spec) return tl::unexpected(spec.error());
  return context.open_mailbox(*spec);
}

// Names and contents, as jitd's outbox has them; `whole`: it is all that the host has to say.
struct Outgoing {
  std::map<std::string, std::string> files;
  bool whole = false;
};

Result<Outgoing> from_outbox(const std::string& path) {
  Outgoing outgoing;
  outgoing.whole = true;
  const auto dir = open_dir(path);
  if (!dir) return tl::unexpected(dir.error());
  const auto names = list_dir(dir->get());
  if (!names) return tl::unexpected(names.error());
  for (const auto& name : *names) {
    if (!document_name(name)) continue;
    auto text = read_file_at(dir->get(), name, kMaxDocument);
    if (!text && text.error().code == Errc::not_found) continue;  // jitd took it away meanwhile
    if (!text) return within(path + "/" + name, text.error());
    outgoing.files.emplace(name, std::move(*text));
  }
  return outgoing;
}

Result<Outgoing> from_jitd(Context& context) {
  const auto listed = ask_jitd(context, wire::Verb::list, Row().number(Tag::all, 1));
  if (!listed) return tl::unexpected(listed.error());
  Outgoing outgoing;
  for (const auto& row : listed->items) {
    if (row.text(Tag::kind) != "request" || row.text(Tag::state) != "pending") continue;
    const auto id = parse_id_prefix(row.text(Tag::id));
    if (!id || id->size() != 16) return fail(Errc::invalid, "jitd named a request without an id");
    const auto reply = ask_jitd(context, wire::Verb::export_, Row().text(Tag::id, *id));
    if (!reply) return tl::unexpected(reply.error());
    outgoing.files.emplace("r-" + *id + ".jit", reply->result.text(Tag::document));
  }
  return outgoing;
}

// An event never changes, and there are thousands.
bool is_there(const std::map<std::string, std::uint64_t>& there, const std::string& name, std::size_t size) {
  const auto found = there.find(name);
  return name.starts_with("e-") && found != there.end() && found->second == size;
}

}  // namespace

bool is_mailbox_folder(const std::string& directory) {
  return is_directory(directory + "/to") || is_directory(directory + "/from");
}

Result<void> make_mailbox_folder(const std::string& directory) {
  for (const auto* folder : {"/to/segment", "/from"}) {
    std::error_code failed;
    std::filesystem::create_directories(directory + folder, failed);
    if (failed) return fail_errno(failed.value(), directory + folder);
  }
  return {};
}

Outcome export_to_mailbox(Context& context, const std::string& directory) {
  const auto host = inspect(context);
  if (!host) return tl::unexpected(host.error());
  const auto box = Box::from_host(host->host);
  if (!box) return tl::unexpected(box.error());
  const auto mailbox = mailbox_in(context, directory);
  if (!mailbox) return tl::unexpected(mailbox.error());
  const auto outbox = context.places.var + "/outbox";
  const bool whole = context.uid == 0 && is_directory(outbox);
  const auto outgoing = whole ? from_outbox(outbox) : from_jitd(context);
  if (!outgoing) return tl::unexpected(outgoing.error());

  std::map<std::string, std::uint64_t> there;
  const auto note = [&](const Item& item) {
    there.emplace(item.name, item.size);
    return there.size() < kMaxListed;
  };
  if (auto listed = (*mailbox)->list(*box, note); !listed) return tl::unexpected(listed.error());
  std::size_t written = 0;
  std::size_t removed = 0;
  for (const auto& [name, text] : outgoing->files) {
    if (is_there(there, name, text.size())) continue;
    if (auto put = (*mailbox)->put(*box, name, text, context.now() + kAbsoluteCeiling); !put)
      return tl::unexpected(put.error());
    ++written;
  }
  for (const auto& [name, size] : there) {
    if (outgoing->files.contains(name) || (!outgoing->whole && !name.starts_with("r-"))) continue;
    if (auto gone = (*mailbox)->remove(*box, name); !gone) return tl::unexpected(gone.error());
    ++removed;
  }
  const auto requests = static_cast<std::uint64_t>(std::count_if(
      outgoing->files.begin(), outgoing->files.end(), [](const auto& file) { return file.first.starts_with("r-"); }));
  const auto place = directory + "/" + box->path();
  if (context.json) {
    context.out << JsonObject()
                       .text("host", host->host)
                       .text("to", place)
                       .number("requests", requests)
                       .number("written", written)
                       .number("removed", removed)
                       .boolean("events", outgoing->whole)
                       .str()
                << '\n';
    return Exit::done;
  }
  context.out << fmt::format("{}: {} request{} that wait{}, {} files written, {} removed\n", shown(place), requests,
                             requests == 1 ? "" : "s", requests == 1 ? "s" : "", written, removed);
  if (!outgoing->whole) {
    context.err << (context.uid == 0 ? "Without events: this host keeps none for others (package jitd-sync).\n"
                                     : "Without events: those are for root to export.\n");
  }
  return Exit::done;
}

Outcome import_from_mailbox(Context& context, const std::string& directory) {
  const auto host = inspect(context);
  if (!host) return tl::unexpected(host.error());
  const auto mailbox = mailbox_in(context, directory);
  if (!mailbox) return tl::unexpected(mailbox.error());
  std::vector<Box> boxes;
  auto own = Box::to_host(host->host);
  if (!own) return tl::unexpected(own.error());
  boxes.push_back(std::move(*own));
  for (const auto& segment : host->segments) {
    auto box = Box::to_segment(segment);
    if (!box) return tl::unexpected(box.error());
    boxes.push_back(std::move(*box));
  }
  Handover handover(context);
  for (const auto& box : boxes) {
    std::map<std::string, Item> items;
    const auto note = [&](const Item& item) {
      items.emplace(item.name, item);
      return items.size() < kMaxListed;
    };
    if (auto listed = (*mailbox)->list(box, note); !listed) return tl::unexpected(listed.error());
    const auto place = directory + "/" + box.path();
    if (items.size() == kMaxListed)
      handover.complain_of(fmt::format("{}: not more than {} files of it are read", place, kMaxListed));
    for (const auto& [name, item] : items) {
      if (const auto taken = handover.take(place + "/" + name, (*mailbox)->get(box, item)); !taken)
        return tl::unexpected(taken.error());
    }
  }
  if (!context.json && handover.files() == 0)
    context.out << fmt::format("Nothing lies there for {}.\n", shown(host->host));
  return handover.finish();
}

}  // namespace jit::ctl
