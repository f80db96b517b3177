#include "jitctl/deliver.hpp"

#include <fmt/format.h>

#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/qr.hpp"
#include "jitctl/signing.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::ctl {

Result<std::string> signed_document(Context& context, const Document& document, const std::string& key_option) {
  if (auto allowed = sign_as_yourself(context); !allowed) return tl::unexpected(allowed.error());
  const auto payload = to_payload(document);
  // Whatever we would not take ourselves is not worth a signature.
  if (auto read = read_payload(payload, "the new document"); !read) return tl::unexpected(read.error());
  const auto name_space = kind_namespace(kind_of(document));
  const auto key = choose_key(context, key_option, name_space);
  if (!key) return tl::unexpected(key.error());
  auto blob = sign_bytes(context, *key, payload, name_space);
  if (!blob) return blob;
  return to_text(Envelope{payload, {std::move(*blob)}});
}

Result<Reply> submit(Context& context, std::string_view text) {
  return ask_jitd(context, wire::Verb::submit, Row().text(wire::Tag::document, text));
}

Outcome hand_over(Context& context, const std::string& text, const SignOptions& options, std::string_view failure) {
  if (!options.out.empty() || context.qr) {
    const auto envelope = parse_envelope(text);
    if (!envelope) return tl::unexpected(envelope.error());
    if (auto given = hand_out(context, options.out, text); !given) return tl::unexpected(given.error());
    if (options.out == "-" || context.qr) return Exit::done;
    const auto id = id_of(sha256(envelope->payload));
    if (context.json) {
      context.out << JsonObject().text("id", id).text("file", options.out).str() << '\n';
    } else {
      context.out << fmt::format("{} written to {}; on the host: jitctl import {}\n", id, shown(options.out),
                                 shown(options.out));
    }
    return Exit::done;
  }
  const auto reply = submit(context, text);
  if (!reply) return tl::unexpected(reply.error());
  if (context.json) {
    context.out << to_json(reply->result) << '\n';
  } else {
    const auto message = reply->message.empty() ? reply->result.text(wire::Tag::state) : reply->message;
    context.out << fmt::format("{}  {}\n", shown(reply->result.text(wire::Tag::id)), shown(message));
  }
  if (!failure.empty() && reply->result.text(wire::Tag::state) == failure) return Exit::refused;
  return exit_of(reply->status);
}

Result<void> check_words(std::string_view text, std::string_view what) {
  if (text.size() > kMaxReason) return fail(Errc::invalid, fmt::format("{}: longer than {} bytes", what, kMaxReason));
  if (const auto found = unclean(text)) return fail(Errc::invalid, fmt::format("{}: {} in it", what, *found));
  if (text.find('\n') != std::string_view::npos)
    return fail(Errc::invalid, fmt::format("{}: one line, please", what));
  if (only_blanks(text)) {
    return fail(Errc::invalid, fmt::format("{}: say something, people decide by it", what));
  }
  return {};
}

Result<std::string> read_id(const std::string& text, bool whole) {
  auto id = parse_id_prefix(text);
  if (id && whole && id->size() != 16) {
    return fail(Errc::invalid, fmt::format("{}: with --yes the whole id of 16 characters is needed", shown(text)));
  }
  return id;
}

Result<Row> find_grant(Context& context, const std::string& id) {
  std::string asked;
  if (id.starts_with("sha256:")) {
    const auto digest = parse_digest(id);
    if (!digest) return tl::unexpected(digest.error());
    asked = id_of(*digest);
  } else {
    auto prefix = parse_id_prefix(id);
    if (!prefix) return tl::unexpected(prefix.error());
    asked = std::move(*prefix);
  }
  auto reply = ask_jitd(context, wire::Verb::show, Row().text(wire::Tag::id, asked));
  if (!reply) return tl::unexpected(reply.error());
  return std::move(reply->result);
}

Result<std::string> export_document(Context& context, const std::string& id) {
  const auto prefix = read_id(id, false);
  if (!prefix) return tl::unexpected(prefix.error());
  const auto reply = ask_jitd(context, wire::Verb::export_, Row().text(wire::Tag::id, *prefix));
  if (!reply) return tl::unexpected(reply.error());
  return reply->result.text(wire::Tag::document);
}

Result<Where> where_to(Context& context, Where given) {
  for (const auto& host : given.hosts) {
    if (auto good = check_host_name(host); !good) return tl::unexpected(good.error());
  }
  for (const auto& segment : given.segments) {
    if (auto good = check_policy_name(segment, "segment"); !good) return tl::unexpected(good.error());
  }
  if (!given.hosts.empty() || !given.segments.empty()) return given;
  const auto host = inspect(context);
  if (!host) {
    if (host.error().code != Errc::unavailable) return tl::unexpected(host.error());
    return fail(Errc::unavailable, host.error().message + "; or name the host with --on");
  }
  given.hosts.push_back(host->host);
  return given;
}

}  // namespace jit::ctl
