#include "jitctl/handover.hpp"

#include <fmt/format.h>

#include "jitctl/deliver.hpp"
#include "jitctl/output.hpp"
#include "policy/text.hpp"

namespace jit::ctl {

using wire::Tag;

Result<void> Handover::take(const std::string& file, const Result<std::string>& text) {
  const auto reply = text ? submit(context_, *text) : Result<Reply>(tl::unexpected(text.error()));
  if (!reply && text && reply.error().code == Errc::unavailable) return tl::unexpected(reply.error());
  ++files_;
  const auto message = reply ? reply->message : reply.error().message;
  const auto id = reply ? reply->result.text(Tag::id) : std::string();
  if (!reply) worst_ = exit_of(reply.error());
  if (context_.json) {
    JsonObject object;
    object.text("file", file).text("id", id).boolean("taken", reply.has_value());
    if (reply) object.text("state", reply->result.text(Tag::state));
    objects_.push_back(object.text("message", message).str());
  } else if (reply) {
    context_.out << fmt::format("{}: {}  {}\n", shown(file), shown(id), shown(message));
  } else {
    complain(context_, message.find(file) == std::string::npos ? file + ": " + message : message);
  }
  return {};
}

void Handover::complain_of(const std::string& message) {
  complain(context_, message);
  worst_ = Exit::failed;
}

Exit Handover::finish() {
  if (context_.json) context_.out << json_list(objects_) << '\n';
  return worst_;
}

}  // namespace jit::ctl
