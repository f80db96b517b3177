#include "jitd/server/helper_protocol.hpp"

#include <cstring>

namespace jit {
namespace {

void put(std::string& out, std::uint32_t number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof bytes);
}

std::optional<std::uint32_t> take(std::string_view& in) {
  std::uint32_t number = 0;
  if (in.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, in.data(), sizeof number);
  in.remove_prefix(sizeof number);
  return number;
}

constexpr std::uint32_t kMaxTexts = 65536;

}  // namespace

std::string encode(const HelperMessage& message) {
  std::string out;
  put(out, message.kind);
  put(out, message.id);
  put(out, static_cast<std::uint32_t>(message.texts.size()));
  for (const auto& text : message.texts) {
    put(out, static_cast<std::uint32_t>(text.size()));
    out += text;
    if (out.size() > kMaxHelperMessage) return {};
  }
  return out;
}

std::optional<HelperMessage> decode_helper_message(std::string_view bytes) {
  if (bytes.size() > kMaxHelperMessage) return std::nullopt;
  HelperMessage message;
  const auto kind = take(bytes), id = take(bytes), count = take(bytes);
  if (!kind || !id || !count || *count > kMaxTexts) return std::nullopt;
  message.kind = *kind;
  message.id = *id;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto size = take(bytes);
    if (!size || *size > bytes.size()) return std::nullopt;
    message.texts.emplace_back(bytes.substr(0, *size));
    bytes.remove_prefix(*size);
  }
  if (!bytes.empty()) return std::nullopt;
  return message;
}

}  // namespace jit
