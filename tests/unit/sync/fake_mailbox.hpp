// A mailbox in memory, whose every call can be made to fail; and documents to put into it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jitd/sync/mailbox.hpp"
#include "policy/document/envelope.hpp"

namespace jit::synctest {

// Something that the envelope's parser takes, of at least `size` bytes; another for each `text`.
inline std::string document(const std::string& text, std::size_t size = 0) {
  std::string payload = "about = \"" + text + "\"\n";
  while (payload.size() < size) payload += "# more of it, more of it, more of it, more of it, more of it\n";
  return to_text(Envelope{payload, {"no signature, but a blob"}});
}

class FakeMailbox final : public Mailbox {
 public:
  struct File {
    std::string bytes;
    std::uint64_t version = 0;
    std::optional<std::uint64_t> claimed_size = {};
  };
  std::map<std::string, std::map<std::string, File>> boxes;  // by path
  std::map<std::string, Error> list_errors;                  // by path
  std::map<std::string, Error> get_errors;                   // by name
  std::optional<Error> put_error, remove_error, wait_error;
  std::vector<std::string> log;  // "get PATH/NAME" and so on
  std::map<std::string, WallTime> until;
  std::uint64_t versions = 0;
  bool eager = false;
  int waits = 0;

  void add(const std::string& path, const std::string& name, std::string bytes) {
    boxes[path][name] = {std::move(bytes), ++versions};
  }
  [[nodiscard]] std::size_t count(const std::string& what) const {
    std::size_t found = 0;
    for (const auto& line : log) found += line.starts_with(what) ? 1U : 0U;
    return found;
  }

  Result<void> list(const Box& box, const Visit& visit) override {
    log.push_back("list " + box.path());
    if (const auto error = list_errors.find(box.path()); error != list_errors.end())
      return tl::unexpected<Error>(error->second);
    for (const auto& [name, file] : boxes[box.path()])
      if (!visit({name, file.claimed_size.value_or(file.bytes.size()), std::to_string(file.version)})) break;
    return {};
  }
  Result<std::string> get(const Box& box, const Item& item) override {
    log.push_back("get " + box.path() + "/" + item.name);
    if (const auto error = get_errors.find(item.name); error != get_errors.end())
      return tl::unexpected<Error>(error->second);
    const auto& files = boxes[box.path()];
    const auto file = files.find(item.name);
    if (file == files.end()) return fail(Errc::not_found, item.name);
    return file->second.bytes;
  }
  Result<void> put(const Box& box, const std::string& name, std::string_view bytes, WallTime good_until) override {
    log.push_back("put " + box.path() + "/" + name);
    if (put_error) return tl::unexpected<Error>(*put_error);
    add(box.path(), name, std::string(bytes));
    until[name] = good_until;
    return {};
  }
  Result<void> remove(const Box& box, const std::string& name) override {
    log.push_back("remove " + box.path() + "/" + name);
    if (remove_error) return tl::unexpected<Error>(*remove_error);
    boxes[box.path()].erase(name);
    return {};
  }
  Result<void> wait(const std::vector<Box>& /*boxes*/, int /*other*/, std::chrono::milliseconds /*at_most*/,
                    bool soon) override {
    ++waits;
    eager = soon;
    if (wait_error) return tl::unexpected<Error>(*wait_error);
    return {};
  }
};

}  // namespace jit::synctest
