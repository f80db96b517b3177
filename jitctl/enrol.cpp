// jitctl enrol, on a host: the signed line by which those who approve for it elsewhere come to know it.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/output.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/enrolment.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

using wire::Tag;

constexpr std::size_t kMaxKey = 16 * 1024;

struct Options {
  bool keep_key = false, new_key = false;
};

Outcome enrol(Context& context, const Options& options) {
  if (options.keep_key && options.new_key) return usage(context, "either --keep-key or --new-key");
  if (auto root = need_root(context, "enrol"); !root) return tl::unexpected(root.error());
  Row question;
  if (options.keep_key) question.text(Tag::kind, "keep");
  if (options.new_key) question.text(Tag::kind, "new");
  const auto reply = ask_jitd(context, wire::Verb::enrol, question);
  if (!reply) return tl::unexpected(reply.error());
  const auto& host = reply->result;
  if (!reply->message.empty()) context.err << shown(reply->message) << '\n';
  if (host.text(Tag::state) == "unknown") {
    return fail(
        Errc::refused,
        "this machine is not the one that its host key was made on: say jitctl enrol --keep-key when the host "
        "was moved or changed, --new-key when this is a copy of another one");
  }
  const auto path = context.places.var + "/host_key";
  const auto pem = read_file(path, kMaxKey);
  if (!pem) return tl::unexpected(pem.error());
  const auto key = SigningKey::from_pem(*pem);
  if (!key) return within(path, key.error());
  const auto print = fingerprint(key->public_key());
  if (print != host.text(Tag::host_key))
    return fail(Errc::invalid, fmt::format("{}: not the key that jitd has; restart jitd", path));
  const auto line = make_enrolment(host.text(Tag::host), host.text(Tag::machine), context.now(), *key);
  if (!line) return tl::unexpected(line.error());
  if (context.json) {
    context.out << JsonObject()
                       .text("host", host.text(Tag::host))
                       .text("host_key", print)
                       .text("machine", host.text(Tag::machine))
                       .texts("segment", host.all(Tag::segment))
                       .text("line", *line)
                       .str()
                << '\n';
    return Exit::done;
  }
  context.out << *line << '\n';
  context.err << fmt::format(
      "{} has the key {}: compare that when the line has arrived.\n"
      "Where it is approved for, and asked for: jitctl trust add-host LINE\n",
      shown(host.text(Tag::host)), print);
  return Exit::done;
}

}  // namespace

void add_enrol(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("enrol", "The line by which others come to know this host (root)",
                               [&context, options] { return enrol(context, *options); });
  command->add_flag("--keep-key", options->keep_key, "The host was moved or changed: it keeps its key");
  command->add_flag("--new-key", options->new_key, "This is a copy of another host: make a key of its own");
}

}  // namespace jit::ctl
