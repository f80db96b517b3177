// jitctl source: the mailboxes that documents travel through. What they are for a kind of source stands in files of
// their own, each with a function that adds it below this family.
#include "jitctl/source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "jitctl/answers.hpp"
#include "jitctl/app.hpp"
#include "jitctl/elsewhere.hpp"
#include "jitctl/output.hpp"
#include "jitctl/stick.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{1} << 20;
constexpr std::size_t kMaxStatus = 16 * 1024;

// The sources of this host's jitd-sync. What else stands in the file is jitd's to judge.
Result<std::vector<SourceSpec>> sources_of_host(const Context& context) {
  const auto path = context.places.etc_jit + "/jitd.toml";
  const auto text = read_file(path, kMaxConfig);
  if (!text && text.error().code == Errc::not_found) return std::vector<SourceSpec>{};
  if (!text) return tl::unexpected(text.error());
  return parse_sources(*text, path);
}

// What jitd-sync says of a source, a word and its value on each line (jitd-sync(8)); empty where it says nothing.
using Facts = std::map<std::string, std::string, std::less<>>;
Facts facts_of(const Context& context, const SourceSpec& source) {
  const auto text = read_file(fmt::format("{}/{}.status", context.places.sync, source.name), kMaxStatus);
  if (!text && text.error().code == Errc::not_found) return {};
  if (!text) return {{"state", "unknown"}, {"error", text.error().message}};
  Facts facts;
  for (const auto line : split(*text, '\n')) {
    const auto blank = line.find(' ');
    if (blank != std::string_view::npos) facts.emplace(line.substr(0, blank), line.substr(blank + 1));
  }
  return facts;
}

// The same for eyes.
std::string state_text(const Facts& facts, WallTime now) {
  const auto fact = [&](std::string_view word) {
    const auto found = facts.find(word);
    return found == facts.end() ? std::string() : found->second;
  };
  auto text = fact("state");
  if (const auto last = parse_utc(fact("last_success")); last) text += ", read " + seen_text(*last, now);
  if (const auto waiting = fact("waiting"); !waiting.empty() && waiting != "0")
    text += ", " + waiting + " wait for jitd";
  if (const auto why = fact("error"); fact("state") != "good" && !why.empty()) text += ": " + why;
  if (const auto why = fact("post_error"); !why.empty()) text += "; takes nothing: " + why;
  return text;
}

Outcome list(Context& context) {
  const auto config = read_approver_config(context);
  if (!config) return tl::unexpected(config.error());
  const auto ours = sources_of_host(context);
  if (!ours) complain(context, ours.error().message);
  Table table({"OF", "NAME", "URL", "POSTS", "STATE"});
  std::vector<std::string> objects;
  const auto add = [&](std::string_view of, const SourceSpec& source, const std::string& state, const Facts& facts) {
    table.add({std::string(of), source.name, source.url, source.post ? "yes" : "no", state});
    JsonObject object;
    object.text("of", of).text("name", source.name).text("url", source.url).boolean("post", source.post);
    JsonObject said;
    for (const auto& [word, value] : facts) said.text(word, value);
    objects.push_back(object.text("state", state).raw("status", said.str()).str());
  };
  for (const auto& source : config->sources)
    add("you", source, source.name == config->default_source ? "default" : "", {});
  for (const auto& source : ours ? *ours : std::vector<SourceSpec>{}) {
    const auto facts = facts_of(context, source);
    add("this host", source, state_text(facts, context.now()), facts);
  }
  if (context.json) {
    context.out << json_list(objects) << '\n';
  } else if (table.empty()) {
    context.out << fmt::format("No source: yours stand in {}, this host's in {}/jitd.toml\n",
                               shown(config->path.empty() ? "approver.toml" : config->path),
                               shown(context.places.etc_jit));
  } else {
    table.print(context.out);
  }
  return ours ? Exit::done : Exit::failed;
}

// What can be read of each host, and whether something can be put there.
Outcome check(Context& context, const std::string& source, bool write) {
  auto elsewhere = Elsewhere::open(context, {{source}, {}, false, {}});
  if (!elsewhere) return tl::unexpected(elsewhere.error());
  auto& mailbox = *elsewhere->sources().front().mailbox;
  const auto text = fmt::format("jitctl source check, {}\n", make_nonce());  // no document: no host takes it for one
  Table table({"HOST", "READ", "REQUESTS", "LAST HEARD OF", "WRITE"});
  std::vector<std::string> objects;
  bool good = true;
  if (elsewhere->hosts().empty()) return fail(Errc::not_found, "you know no host yet: see jitctl trust add-host");
  for (const auto& host : elsewhere->hosts()) {
    const auto read = elsewhere->look({host}, {true, 1, {}, false});
    const auto sight = elsewhere->sight(host);
    const auto* last = sight.last();
    std::string wrote = "not tried";
    if (write) {
      const auto to = Box::to_host(host);
      const auto name = "check-" + make_nonce() + ".jit";
      auto done = to ? mailbox.put(*to, name, text, context.now() + std::chrono::minutes(1))
                     : Result<void>(tl::unexpected(to.error()));
      if (done) done = mailbox.remove(*to, name);
      wrote = done ? "yes" : done.error().message;
      good = good && done.has_value();
    }
    good = good && read.has_value();
    const auto seen = last != nullptr ? std::optional(last->event.created) : std::nullopt;
    table.add({host, read ? "yes" : read.error().message, std::to_string(sight.requests.size()),
               seen_text(seen, context.now()), wrote});
    JsonObject object;
    object.text("host", host).boolean("read", read.has_value()).number("requests", sight.requests.size());
    if (seen) object.number("seen", seconds_of(*seen));
    if (!read) object.text("message", read.error().message);
    objects.push_back(object.text("write", wrote).str());
  }
  elsewhere->say_what_was_passed_over();
  if (context.json) {
    context.out << json_list(objects) << '\n';
  } else {
    table.print(context.out);
  }
  return good ? Exit::done : Exit::failed;
}

Outcome init_folder(Context& context, const std::string& directory) {
  if (auto made = make_mailbox_folder(directory); !made) return tl::unexpected(made.error());
  if (context.json) {
    context.out << JsonObject().text("folder", directory).str() << '\n';
  } else {
    context.out << fmt::format(
        "{0} is a mailbox: on hosts jitctl export --all --to {0} and jitctl import {0}, for "
        "approvers --source {0}\n",
        shown(directory));
  }
  return Exit::done;
}

}  // namespace

void add_source(Commands& commands) {
  struct Options {
    std::string source, folder;
    bool write = false;
  };
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* family = commands.add_family("source", "The mailboxes that documents travel through");
  commands.add_below(family, "list", "Sources of yours and of this host, and how they are",
                     [&context] { return list(context); });
  auto* checks = commands.add_below(family, "check", "What one can do there, host by host",
                                    [&context, options] { return check(context, options->source, options->write); });
  checks->add_option("source", options->source, "A name in approver.toml, a URL, a folder")
      ->required()
      ->type_name("URL|NAME");
  checks->add_flag("--write", options->write, "Also put something into each host's box, and take it away");
  auto* inits = commands.add_below(family, "init-folder", "Make a folder, such as one on a stick, a mailbox",
                                   [&context, options] { return init_folder(context, options->folder); });
  inits->add_option("directory", options->folder, "It is made where it is not there")->required()->type_name("DIR");
  add_source_clean(commands, family);
  add_source_index(commands, family);
  add_source_init(commands, family);
  add_source_ssh(commands, family);
}

}  // namespace jit::ctl
