// From a document's value to where it goes: signed, then to the local jitd or into a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jitctl/context.hpp"
#include "policy/document/kinds.hpp"
#include "policy/result.hpp"

namespace jit::ctl {

// --key and -o of every command that signs.
struct SignOptions {
  std::string key;  // empty: chosen (signing.hpp)
  std::string out;  // empty: submitted to the local jitd
};

// The document's file: payload and this person's signature in the namespace of its kind.
[[nodiscard]] Result<std::string> signed_document(Context& context, const Document& document,
                                                  const std::string& key_option);

// Writes `text` to options.out (never over a file), prints it as QR codes with --qr, or submits it where neither is
// said. What came of it is printed, but for --qr: the daemon's message, or with --json one object (with `file` when
// it was written). `failure` is a state that means that it did not come to what was meant: exit 5, although jitd took
// the document in.
[[nodiscard]] Outcome hand_over(Context& context, const std::string& text, const SignOptions& options,
                                std::string_view failure = {});

// Verb submit. The reply's message says what the document did.
[[nodiscard]] Result<Reply> submit(Context& context, std::string_view text);

// The words of a person: reason or comment, checked before they are signed (clean, one paragraph, kMaxReason bytes).
[[nodiscard]] Result<void> check_words(std::string_view text, std::string_view what);

// A full digest, an id or a prefix of one: the row of the request or grant that jitd knows by it.
[[nodiscard]] Result<Row> find_grant(Context& context, const std::string& id);

// The file that jitd has of a request or grant, with all signatures that came; `id` may be a prefix.
[[nodiscard]] Result<std::string> export_document(Context& context, const std::string& id);

// With --yes an id must be whole: 16 characters.
[[nodiscard]] Result<std::string> read_id(const std::string& text, bool whole);

// Which hosts a document of ours is for: `hosts` and `segments` as given, else this host, asked of jitd.
struct Where {
  std::vector<std::string> hosts;
  std::vector<std::string> segments;
};
[[nodiscard]] Result<Where> where_to(Context& context, Where given);

}  // namespace jit::ctl
