#include "jitd/sync/mailbox.hpp"

#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxName = 255;  // bytes, NAME_MAX of Linux
constexpr std::size_t kHashDigits = 16;

Result<void> check_host(const std::string& host) {
  if (auto good = check_host_name(host); !good) return good;
  if (host == "segment") return fail(Errc::invalid, "a host called \"segment\" has no place in a mailbox: rename it");
  return {};
}

}  // namespace

Result<Box> Box::to_host(std::string host) {
  if (auto good = check_host(host); !good) return tl::unexpected(good.error());
  return Box(Kind::to_host, std::move(host));
}

Result<Box> Box::to_segment(std::string segment) {
  if (auto good = check_policy_name(segment, "segment"); !good) return tl::unexpected(good.error());
  return Box(Kind::to_segment, std::move(segment));
}

Result<Box> Box::from_host(std::string host) {
  if (auto good = check_host(host); !good) return tl::unexpected(good.error());
  return Box(Kind::from_host, std::move(host));
}

std::string Box::path() const {
  switch (kind_) {
    case Kind::to_host:
      return "to/" + name_;
    case Kind::to_segment:
      return "to/segment/" + name_;
    case Kind::from_host:
      return "from/" + name_;
  }
  return {};
}

bool document_name(std::string_view name) {
  return name.size() <= kMaxName && name.size() > 4 && name.ends_with(".jit") && name.front() != '.';
}

Result<std::string> name_of_document(std::string_view file) {
  const auto envelope = parse_envelope(file);
  if (!envelope) return tl::unexpected(envelope.error());
  return id_of(sha256(envelope->payload)) + "-" + to_hex(sha256(file).bytes).substr(0, kHashDigits) + ".jit";
}

Result<void> Mailbox::list_after(std::size_t passed, const Box& box, const Visit& visit) {
  std::size_t position = 0;
  return list(box, [&](const Item& item) { return position++ < passed || visit(item); });
}

}  // namespace jit
