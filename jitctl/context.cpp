#include "jitctl/context.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <random>

#include "policy/text.hpp"

namespace jit::ctl {

Exit exit_of(const Error& error) {
  switch (error.code) {
    case Errc::refused:
      return Exit::refused;
    case Errc::unavailable:
      return Exit::unreachable;
    default:
      return Exit::failed;
  }
}

Exit exit_of(wire::Status status) {
  return static_cast<Exit>(static_cast<int>(status));
}

Outcome usage(Context& context, std::string_view what) {
  complain(context, fmt::format("{}; see jitctl --help", what));
  return Exit::usage;
}

void complain(Context& context, std::string_view what) {
  context.err << "jitctl: " << shown(what) << '\n';
}

bool systemd_is_init(const Context& context) {
  return ::access(context.places.systemd.c_str(), F_OK) == 0;
}

Result<Reply> ask_jitd(Context& context, wire::Verb verb, const Row& fields, std::chrono::milliseconds deadline) {
  auto reply = context.daemon.call(verb, fields, deadline);
  if (!reply) return reply;
  if (reply->status == wire::Status::done || reply->status == wire::Status::pending) return reply;
  const auto message =
      reply->message.empty() ? std::string("jitd refused without saying why; see its journal") : reply->message;
  switch (reply->status) {
    case wire::Status::refused:
      return fail(Errc::refused, message);
    case wire::Status::unreachable:
      return fail(Errc::unavailable, message);
    default:
      return fail(Errc::invalid, message);
  }
}

std::string random_digits() {
  std::random_device device;
  return fmt::format("{:04}", std::uniform_int_distribution<unsigned>(0, 9999)(device));
}

bool ask_yes(Context& context, std::string_view question) {
  const auto digits = context.typed ? context.make_digits() : std::string();
  context.err << question << (context.typed ? fmt::format(" For yes type {}: ", digits) : " [y/N] ") << std::flush;
  std::string answer;
  if (!std::getline(context.in, answer)) {
    context.err << '\n';
    return false;
  }
  if (context.typed) return answer == digits;
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<std::string> ask_line(Context& context, std::string_view question, std::string_view otherwise) {
  context.err << question;
  if (!otherwise.empty()) context.err << " [" << shown(otherwise) << ']';
  context.err << ": " << std::flush;
  std::string answer;
  if (!std::getline(context.in, answer)) {
    context.err << '\n';
    return fail(Errc::invalid, "no answer");
  }
  const auto first = answer.find_first_not_of(" \t");
  if (first == std::string::npos) return std::string(otherwise);
  return answer.substr(first, answer.find_last_not_of(" \t") - first + 1);
}

Result<void> need_root(const Context& context, std::string_view what) {
  if (context.uid == 0) return {};
  return fail(Errc::refused, fmt::format("{} needs root; run it with sudo", what));
}

}  // namespace jit::ctl
