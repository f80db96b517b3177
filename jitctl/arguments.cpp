#include "jitctl/arguments.hpp"

#include <fmt/format.h>

#include "policy/names.hpp"
#include "policy/text.hpp"
#include "policy/time.hpp"

namespace jit::ctl {
namespace {

template <class T>
std::string problem(const Result<T>& result) {
  return result ? std::string() : shown(result.error().message);
}

}  // namespace

std::string duration_problem(const std::string& text) {
  return problem(parse_duration(text));
}
Result<WallTime> parse_time(const std::string& text) {
  return text.find('-') == std::string::npos && text.ends_with('Z') ? parse_compact_utc(text) : parse_utc(text);
}
Result<WallTime> parse_until(const Context& context, const std::string& text) {
  auto until = parse_time(text);
  if (until && *until <= context.now()) return fail(Errc::invalid, fmt::format("--until {} is in the past", text));
  return until;
}
std::string time_problem(const std::string& text) {
  return problem(parse_time(text));
}
std::string role_problem(const std::string& text) {
  return problem(check_policy_name(text, "role"));
}
std::string user_problem(const std::string& text) {
  return problem(check_user_name(text));
}
std::string ticket_problem(const std::string& text) {
  constexpr std::size_t most = 128;  // bytes; jit-documents(5)
  if (text.size() > most) return fmt::format("the ticket is longer than {} bytes", most);
  return problem(check_words(text, "the ticket"));
}
std::string words_problem(const std::string& text) {
  return problem(check_words(text, "the text"));
}

void add_sign_options(Command& command, SignOptions& options) {
  command.add_option("--key", options.key, "Sign with this key: a private key, or a .pub that the agent holds")
      ->type_name("FILE");
  command.add_option("-o,--output", options.out, "Write the signed document there instead of handing it to jitd")
      ->type_name("FILE");
}

void add_qr(Command& command, Context& context) {
  command.add_flag("--qr", context.qr, "Print the document as QR codes instead, for a scanner or a camera");
}

void add_where(Command& command, Where& where) {
  command.add_option("--on", where.hosts, "Host that it is for (default: this one)")->type_name("HOST");
  command.add_option("--segment", where.segments, "Segment that it is for")->type_name("NAME");
}

void add_reason(Command& command, std::string& reason) {
  command.add_option("-m,--message", reason, "Why, for people and the audit")
      ->required()
      ->check(words_problem)
      ->type_name("TEXT");
}

}  // namespace jit::ctl
