// jitctl audit: reads the host's audit chain, and proves it whole.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"
#include "policy/document/chain.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::uint64_t kPage = 1000;

struct Options {
  std::uint64_t from = 0;   // 0: not said
  std::uint64_t count = 0;  // 0: to the end
  std::string user;
  std::string head;
};

// One entry as the daemon sent it, with `key=value` lines read back to what they mean.
Result<ChainEntry> entry_of(const Row& row) {
  ChainEntry entry;
  entry.sequence = row.number(Tag::sequence).value_or(0);
  entry.time = static_cast<std::int64_t>(row.number(Tag::time).value_or(0));
  entry.event = row.text(Tag::event);
  for (const auto& line : row.all(Tag::detail)) {
    const auto equals = line.find('=');
    if (equals == std::string::npos)
      return fail(Errc::invalid, fmt::format("entry {}: a field without '='", entry.sequence));
    auto value = unescape_word(std::string_view(line).substr(equals + 1));
    if (!value) return within(fmt::format("entry {}", entry.sequence), value.error());
    entry.fields[line.substr(0, equals)] = std::move(*value);
  }
  for (auto [tag, digest] : {std::pair{Tag::previous, &entry.previous}, std::pair{Tag::hash, &entry.hash}}) {
    auto read = parse_digest("sha256:" + row.text(tag));
    if (!read) return within(fmt::format("entry {}", entry.sequence), read.error());
    *digest = *read;
  }
  return entry;
}

// Pages through the chain: `each` sees a page of entries and says whether to go on.
template <class Each>
Result<void> read_chain(Context& context, std::uint64_t from, Each&& each) {
  for (;;) {
    const auto reply =
        ask_jitd(context, wire::Verb::audit, Row().number(Tag::sequence, from).number(Tag::count, kPage));
    if (!reply) return tl::unexpected(reply.error());
    if (reply->items.empty()) return {};
    const auto last = reply->items.back().number(Tag::sequence).value_or(0);
    auto go_on = each(reply->items);
    if (!go_on) return tl::unexpected(go_on.error());
    if (!*go_on || last < from) return {};
    from = last + 1;
  }
}

Outcome log(Context& context, const Options& options) {
  // With --from the first so many, else the newest: what is printed is held back until it is known to be among them.
  const bool newest = options.count != 0 && options.from == 0;
  std::uint64_t left = options.count == 0 || newest ? UINT64_MAX : options.count;
  std::deque<std::string> held;
  bool first = true;
  const auto put = [&](const std::string& text) {
    if (context.json && !first) context.out << ",\n";
    context.out << text << (context.json ? "" : "\n");
    first = false;
  };
  if (context.json) context.out << '[';
  const auto read = read_chain(
      context, std::max<std::uint64_t>(options.from, 1), [&](const std::vector<Row>& page) -> Result<bool> {
        for (const auto& row : page) {
          const auto entry = entry_of(row);
          if (!entry) return tl::unexpected(entry.error());
          const auto user = entry->fields.find("user");
          if (!options.user.empty() && (user == entry->fields.end() || user->second != options.user)) continue;
          if (left-- == 0) return false;
          std::string text;
          if (context.json) {
            JsonObject fields;
            for (const auto& [key, value] : entry->fields) fields.text(key, value);
            JsonObject object;
            object.number("sequence", entry->sequence).number("time", static_cast<std::uint64_t>(entry->time));
            object.text("event", entry->event).raw("fields", fields.str());
            object.text("previous", row.text(Tag::previous)).text("hash", row.text(Tag::hash));
            text = object.str();
          } else {
            text = fmt::format("{:>6}  {}  {:<10}", entry->sequence,
                               time_text(static_cast<std::uint64_t>(entry->time)), shown(entry->event));
            for (const auto& [key, value] : entry->fields) text += fmt::format("  {}={}", shown(key), shown(value));
          }
          if (!newest) {
            put(text);
            continue;
          }
          held.push_back(std::move(text));
          if (held.size() > options.count) held.pop_front();
        }
        return left > 0;
      });
  for (const auto& text : held) put(text);
  if (context.json) context.out << "]\n";
  if (!read) return tl::unexpected(read.error());
  if (first) context.err << "No entry of the audit log matches.\n";
  return Exit::done;
}

Outcome verify_log(Context& context, const Options& options) {
  Digest before;
  std::uint64_t next = 1;
  bool begun = false;
  bool head_seen = options.head.empty();
  std::string wanted = options.head;
  if (wanted.starts_with("sha256:")) wanted.erase(0, 7);
  const auto read = read_chain(context, 1, [&](const std::vector<Row>& page) -> Result<bool> {
    std::vector<ChainEntry> entries;
    for (const auto& row : page) {
      auto entry = entry_of(row);
      if (!entry) return tl::unexpected(entry.error());
      head_seen = head_seen || row.text(Tag::hash) == wanted;
      entries.push_back(std::move(*entry));
    }
    if (!begun) {  // what is older than the retention is gone: the chain begins where it begins
      next = entries.front().sequence;
      before = entries.front().previous;
      begun = true;
    }
    if (auto good = verify_chain(entries, before, next); !good) return tl::unexpected(good.error());
    next = entries.back().sequence + 1;
    before = entries.back().hash;
    return true;
  });
  if (!read) return tl::unexpected(read.error());
  if (!head_seen) {
    return fail(
        Errc::refused,
        fmt::format("the chain is whole, but {} is not in it: it was rewritten, or is another host's", wanted));
  }
  const auto head = digest_text(before).substr(7);
  if (context.json) {
    context.out << JsonObject().boolean("whole", true).number("last", begun ? next - 1 : 0).text("hash", head).str()
                << '\n';
  } else {
    context.out << fmt::format("The chain is whole up to entry {}.\nhead {}\n", begun ? next - 1 : 0, head);
    context.out << "Keep the head elsewhere: jitctl audit verify --head HASH proves later that nothing up to it was "
                   "changed.\n";
  }
  return Exit::done;
}

}  // namespace

void add_audit(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* family = commands.add_family("audit", "What was decided, by whom and why (root)");
  auto* show = commands.add_below(family, "log", "Print the audit log",
                                  [&context, options] { return log(context, *options); });
  show->add_option("--from", options->from, "First entry")->type_name("N");
  show->add_option("-n,--count", options->count, "So many entries at most: the newest, or the first with --from")
      ->type_name("N");
  show->add_option("--user", options->user, "Entries about this user")->type_name("USER");
  auto* prove = commands.add_below(family, "verify", "Prove that no entry was changed or taken out",
                                   [&context, options] { return verify_log(context, *options); });
  prove->add_option("--head", options->head, "Hash that must stand in the chain")->type_name("HASH");
}

}  // namespace jit::ctl
