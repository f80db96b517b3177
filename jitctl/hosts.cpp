// jitctl hosts: every host that the caller knows, as it was last heard of elsewhere, and what is odd about it.
#include <fmt/format.h>

#include <algorithm>

#include "jitctl/answers.hpp"
#include "jitctl/app.hpp"
#include "jitctl/host_memory.hpp"
#include "jitctl/issue.hpp"
#include "jitctl/output.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  SourceOptions source;
  std::vector<std::string> names;
  bool forget = false;
};

constexpr std::size_t kShort = 12;  // hex digits of a digest, for eyes
constexpr Need kHosts{true, 64, std::nullopt, false};

std::string short_digest(std::string_view digest) {
  const auto colon = digest.find(':');
  return std::string(digest.substr(colon == std::string_view::npos ? 0 : colon + 1).substr(0, kShort));
}

struct Row {
  std::string host;
  bool read = false;
  std::optional<EventDocument> last;
  std::size_t pending = 0;
  std::vector<std::string> odd;
};

// One key under two names: whoever has it speaks for both.
std::vector<std::string> with_the_same_key(const Elsewhere& elsewhere, const std::string& host) {
  std::vector<std::string> others;
  for (const auto& other : elsewhere.hosts()) {
    if (other == host) continue;
    for (const auto& line : elsewhere.trust(other).lines) {
      const auto& own = elsewhere.trust(host).lines;
      const bool same =
          std::any_of(own.begin(), own.end(), [&](const TrustLine& one) { return one.key == line.key; });
      if (same && (others.empty() || others.back() != other)) others.push_back(other);
    }
  }
  return others;
}

std::string row_json(const Row& row) {
  JsonObject object;
  object.text("host", row.host).boolean("read", row.read);
  if (row.last) {
    const auto& last = *row.last;
    object.number("seen", seconds_of(last.created)).text("host_key", last.host_key);
    object.text("machine", last.machine).text("policy", last.policy).number("sequence", last.sequence);
    object.number("entry", last.entry).text("head", digest_text(last.head));
    if (last.view) object.number("view", *last.view).number("viewed", seconds_of(*last.viewed));
  }
  return object.number("pending", row.pending).texts("odd", row.odd).str();
}

Outcome forget(Context& context, const Options& options) {
  if (options.names.empty()) return usage(context, "--forget takes the names of hosts");
  for (const auto& name : options.names) {
    if (auto done = forget_host(context, name); !done && done.error().code != Errc::not_found)
      return tl::unexpected(done.error());
  }
  if (!context.json) context.out << shown(joined(options.names)) << ": the next look trusts what it sees\n";
  return Exit::done;
}

Outcome hosts(Context& context, const Options& options) {
  for (const auto& name : options.names) {
    if (auto good = check_host_name(name); !good) return tl::unexpected(good.error());
  }
  if (options.forget) return forget(context, options);
  auto elsewhere = Elsewhere::open(context, options.source);
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  const auto& names = options.names.empty() ? elsewhere->hosts() : options.names;
  for (const auto& name : names) {
    if (!elsewhere->knows(name)) return fail(Errc::not_found, fmt::format("{}: not in your hosts file", name));
  }
  if (auto done = elsewhere->look(names, kHosts); !done) return tl::unexpected(done.error());
  elsewhere->say_what_was_passed_over();
  std::vector<Row> rows;
  bool odd = false;
  for (const auto& name : names) {
    const auto sight = elsewhere->sight(name);
    Row row{name, elsewhere->read(name), {}, waiting_in(sight, context.now()).size(), {}};
    if (const auto* last = sight.last()) row.last = last->event;
    if (row.read) row.odd = remember_host(context, sight);
    for (const auto& other : with_the_same_key(*elsewhere, name))
      row.odd.push_back(fmt::format("its key is that of {} too, in your hosts file", other));
    odd = odd || !row.odd.empty();
    rows.push_back(std::move(row));
  }
  if (context.json) {
    std::vector<std::string> objects;
    for (const auto& row : rows) objects.push_back(row_json(row));
    context.out << json_list(objects) << '\n';
    return odd ? Exit::failed : Exit::done;
  }
  Table table({"HOST", "LAST HEARD OF", "VIEW", "POLICY", "AUDIT", "HEAD", "PENDING", "ODD"});
  const auto now = context.now();
  for (const auto& row : rows) {
    if (!row.last) {
      table.add({row.host, row.read ? "never" : "not readable", "", "", "", "", "",
                 row.odd.empty() ? "" : joined(row.odd, "; ")});
      continue;
    }
    const auto& last = *row.last;
    const auto view = last.view ? fmt::format("{}, {} old", *last.view, in_words(now - *last.viewed)) : "";
    table.add({row.host, seen_text(last.created, now), view, short_digest(last.policy), std::to_string(last.entry),
               short_digest(digest_text(last.head)), std::to_string(row.pending), joined(row.odd, "; ")});
  }
  table.print(context.out);
  return odd ? Exit::failed : Exit::done;
}

}  // namespace

void add_hosts(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("hosts", "The hosts that you know, as they were last heard of",
                               [&context, options] { return hosts(context, *options); });
  command->add_option("host", options->names, "These alone")->type_name("HOST");
  add_source_option(*command, options->source);
  command->add_flag("--forget", options->forget, "Forget what was seen of these: what they show is right");
}

}  // namespace jit::ctl
