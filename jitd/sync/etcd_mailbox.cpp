#include "jitd/sync/etcd_mailbox.hpp"

#include <algorithm>
#include <utility>

#include "jitd/sync/etcd_leases.hpp"
#include "jitd/sync/etcd_watch.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit::etcd {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kPage = 512;              // keys
constexpr milliseconds kListBudget{60000};        // a box that somebody has filled with millions of keys
constexpr std::size_t kMaxValueBody = 64 * 1024;  // JSON of a document of kMaxDocument bytes, in base64

// etcd says everything of a change by its revision; the lease beside it makes a difference where a cluster was
// restored from a backup and counts the same revisions again.
std::string stamp_of(const KeyValue& entry) {
  return std::to_string(entry.changed) + "." + std::to_string(entry.lease);
}

class EtcdMailbox final : public Mailbox {
 public:
  EtcdMailbox(std::unique_ptr<Client> client, const Clock& clock)
      : clock_(clock), client_(std::move(client)), leases_(*client_, clock), watcher_(*client_, clock) {}

  [[nodiscard]] Result<void> list(const Box& box, const Visit& visit) override;
  [[nodiscard]] Result<std::string> get(const Box& box, const Item& item) override;
  [[nodiscard]] Result<void> put(const Box& box, const std::string& name, std::string_view bytes,
                                 WallTime until) override;
  [[nodiscard]] Result<void> remove(const Box& box, const std::string& name) override;
  [[nodiscard]] Result<void> wait(const std::vector<Box>& boxes, int other, milliseconds at_most,
                                  bool eager) override;

 private:
  // The next page of a box: at the revision of the first where that is not forgotten meanwhile, with fewer keys where
  // they are long.
  [[nodiscard]] Result<Page> next_page(RangeQuestion& question, const Box& box);

  const Clock& clock_;
  std::unique_ptr<Client> client_;
  Leases leases_;
  Watcher watcher_;
};

Result<Page> EtcdMailbox::next_page(RangeQuestion& question, const Box& box) {
  while (true) {
    const auto reply = client_->call("/v3/kv/range", range_question(question));
    if (!reply && reply.error().code == Errc::invalid && question.limit > 1) {
      question.limit /= 8;
      continue;
    }
    if (!reply) return tl::unexpected(reply.error());
    if (reply->failure.kind == Failure::Kind::compacted && question.at > 0) {
      question.at = 0;
      continue;
    }
    if (!reply->good())
      return tl::unexpected(
          error_of(reply->failure, "read " + shown(keys_of(client_->spec(), box).first), client_->spec()));
    return read_page(reply->body);
  }
}

Result<void> EtcdMailbox::list(const Box& box, const Visit& visit) {
  const auto started = clock_.now().boot_ms;
  const std::string before = key_of(client_->spec(), box, "");
  RangeQuestion question{keys_of(client_->spec(), box), kPage, 0, 0, true};
  Revision first = 0;  // what changes after it is told by the watch, whatever later pages are of
  while (true) {
    const auto page = next_page(question, box);
    if (!page) return tl::unexpected(page.error());
    if (first == 0) first = page->revision;
    if (question.at == 0) question.at = page->revision;
    bool enough = false, further = false;
    for (const KeyValue& entry : page->entries) {
      // Keys come in order; any other was not asked for, or was there already.
      if (enough || entry.key < question.keys.first || !entry.key.starts_with(before)) continue;
      question.keys.first = entry.key + '\0';
      further = true;
      const std::string name = entry.key.substr(before.size());
      if (document_name(name) && name.find('/') == std::string::npos) enough = !visit({name, 0, stamp_of(entry)});
    }
    if (enough || !page->more) break;
    if (!further) return fail(Errc::invalid, "etcd has more in " + shown(before) + " than it gives");
    if (milliseconds(clock_.now().boot_ms - started) >= kListBudget)
      return fail(Errc::unavailable, shown(before) + " has more keys than come in a minute");
  }
  watcher_.listed(box, first);
  return {};
}

Result<std::string> EtcdMailbox::get(const Box& box, const Item& item) {
  const std::string key = key_of(client_->spec(), box, item.name);
  const auto reply = client_->call("/v3/kv/range", range_question({{key, {}}, 1, 0, 0, false}), kMaxValueBody);
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->good()) return tl::unexpected(error_of(reply->failure, "read " + shown(key), client_->spec()));
  auto page = read_page(reply->body);
  if (!page) return tl::unexpected(page.error());
  for (KeyValue& entry : page->entries) {
    if (entry.key != key) continue;
    if (entry.value.size() > kMaxDocument)
      return fail(Errc::invalid, shown(key) + " has more than " + std::to_string(kMaxDocument) + " bytes");
    return std::move(entry.value);
  }
  return fail(Errc::not_found, shown(key) + " is gone");
}

Result<void> EtcdMailbox::put(const Box& box, const std::string& name, std::string_view bytes, WallTime until) {
  const std::string key = key_of(client_->spec(), box, name);
  if (name.empty() || name.find('/') != std::string::npos)
    return fail(Errc::invalid, "\"" + shown(name, 300) + "\" is no name for a document");
  if (bytes.size() > kMaxDocument)
    return fail(Errc::invalid, shown(key) + " would have more than " + std::to_string(kMaxDocument) + " bytes");
  for (const bool again : {false, true}) {
    const auto lease = leases_.lease_for(until);
    if (!lease) return tl::unexpected(lease.error());
    const auto reply = client_->call("/v3/kv/txn", put_question(key, bytes, (*lease)->id));
    if (!reply) return tl::unexpected(reply.error());
    if (reply->good()) {
      (*lease)->used = true;
      return {};
    }
    // It ended, or a key that is attached to it may no longer be written by this user.
    const bool another = reply->failure.kind == Failure::Kind::no_lease ||
                         (reply->failure.kind == Failure::Kind::denied && (*lease)->used);
    if (!another || again) return tl::unexpected(error_of(reply->failure, "write " + shown(key), client_->spec()));
    leases_.forget(until);
  }
  return {};
}

Result<void> EtcdMailbox::remove(const Box& box, const std::string& name) {
  const std::string key = key_of(client_->spec(), box, name);
  const auto reply = client_->call("/v3/kv/deleterange", delete_question(key));
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->good()) return tl::unexpected(error_of(reply->failure, "remove " + shown(key), client_->spec()));
  return {};
}

Result<void> EtcdMailbox::wait(const std::vector<Box>& boxes, int other, milliseconds at_most, bool /*eager*/) {
  if (const Seconds poll = client_->spec().poll; poll > Seconds(0)) at_most = std::min<milliseconds>(at_most, poll);
  return watcher_.wait(boxes, other, at_most);
}

}  // namespace

std::unique_ptr<Mailbox> mailbox_over(std::unique_ptr<Client> client, const Clock& clock) {
  return std::make_unique<EtcdMailbox>(std::move(client), clock);
}

}  // namespace jit::etcd
