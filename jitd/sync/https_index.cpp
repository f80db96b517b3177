#include "jitd/sync/https_index.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "jitd/sys/files.hpp"
#include "policy/digest.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kHexDigits = 64;
constexpr std::size_t kMaxBoxes = 100000;

tl::unexpected<Error> bad_line(std::size_t number, const char* why) {
  return fail(Errc::invalid, "line " + std::to_string(number) + " of its index " + why);
}

auto place_of(std::vector<Item>& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const Item& item, std::string_view wanted) { return item.name < wanted; });
}

bool is_digest(std::string_view hex) {
  return hex.size() == kHexDigits && hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool index_name(std::string_view name) {
  return document_name(name) &&
         std::none_of(name.begin(), name.end(), [](char c) { return c == '/' || (c >= 0 && c < 0x20) || c == 0x7f; });
}

Item index_item(std::string name, std::string_view bytes) {
  return {std::move(name), bytes.size(), to_hex(sha256(bytes).bytes)};
}

Result<std::vector<Item>> parse_index(std::string_view text) {
  if (text.size() > kMaxIndex) return fail(Errc::invalid, "its index has more than 4 MiB");
  if (!text.empty() && text.back() != '\n') return fail(Errc::invalid, "its index does not end with a line end");
  std::vector<Item> items;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    if (++number > kMaxIndexLines) return fail(Errc::invalid, "its index has more than 65536 lines");
    const auto second = line.find(' ', std::min(line.size(), kHexDigits + 1));
    if (second == std::string_view::npos || !is_digest(line.substr(0, kHexDigits)) || line[kHexDigits] != ' ')
      return bad_line(number, "is not \"SHA256HEX SIZE NAME\"");
    const auto size = parse_number(line.substr(kHexDigits + 1, second - kHexDigits - 1), INT64_MAX);
    if (!size) return bad_line(number, "has no size");
    const std::string_view name = line.substr(second + 1);
    if (!index_name(name)) return bad_line(number, "has no document's name");
    if (!items.empty() && items.back().name >= name) return bad_line(number, "is not in the order of names");
    items.push_back({std::string(name), *size, std::string(line.substr(0, kHexDigits))});
  }
  return items;
}

Result<std::string> index_text(const std::vector<Item>& items) {
  std::string text;
  for (const Item& item : items) text += item.stamp + " " + std::to_string(item.size) + " " + item.name + "\n";
  if (items.size() > kMaxIndexLines || text.size() > kMaxIndex)
    return fail(Errc::refused, "an index has at most 65536 lines and 4 MiB: what has expired there must go first");
  return text;
}

bool put_item(std::vector<Item>& items, Item item) {
  const auto place = place_of(items, item.name);
  if (place == items.end() || place->name != item.name) {
    items.insert(place, std::move(item));
    return true;
  }
  if (place->stamp == item.stamp && place->size == item.size) return false;
  *place = std::move(item);
  return true;
}

bool remove_item(std::vector<Item>& items, std::string_view name) {
  const auto place = place_of(items, name);
  if (place == items.end() || place->name != name) return false;
  items.erase(place);
  return true;
}

namespace {

Result<UniqueFd> open_below(int dir, const std::string& name) {
  UniqueFd fd(::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(errno, shown(name));
  return fd;
}

class Indexer {
 public:
  // The folders in `parent` that `make` takes for a box.
  void boxes_in(int parent, const std::string& where, Result<Box> (*make)(std::string));
  [[nodiscard]] IndexReport& report() { return report_; }

 private:
  void box(int parent, const std::string& name, const Box& box);
  [[nodiscard]] Result<std::vector<Item>> documents(int dir, const std::string& where);
  void problem(const std::string& where, const Error& error) {
    report_.problems.push_back(where + ": " + error.message);
  }

  IndexReport report_;
};

void Indexer::boxes_in(int parent, const std::string& where, Result<Box> (*make)(std::string)) {
  const auto names = list_dir(parent, kMaxBoxes);
  if (!names) return problem(where, names.error());
  for (const std::string& name : *names) {
    // Anything else is somebody's own: a .git, a README.
    if (const auto good = make(name)) box(parent, name, *good);
  }
}

Result<std::vector<Item>> Indexer::documents(int dir, const std::string& where) {
  const auto names = list_dir(dir, 2 * kMaxIndexLines);
  if (!names) return tl::unexpected(names.error());
  std::vector<Item> items;
  for (const std::string& name : *names) {
    if (!document_name(name)) continue;
    if (!index_name(name)) {
      report_.problems.push_back(where + "/" + shown(name) + ": no name for an index");
      continue;
    }
    const auto bytes = read_file_at(dir, name, kMaxDocument);
    if (bytes) {
      (void)put_item(items, index_item(name, *bytes));
    } else if (bytes.error().code != Errc::not_found) {
      problem(where, {bytes.error().code, shown(bytes.error().message), 0});
    }
  }
  return items;
}

void Indexer::box(int parent, const std::string& name, const Box& box) {
  const std::string where = box.path();
  const auto dir = open_below(parent, name);
  if (!dir) {
    struct stat status {};
    const bool file = ::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    if (!file) problem(where, dir.error());  // a README is no box; a link is not followed
    return;
  }
  const auto items = documents(dir->get(), where);
  if (!items) return problem(where, items.error());
  const auto text = index_text(*items);
  if (!text) return problem(where, text.error());
  ++report_.boxes;
  report_.documents += items->size();

  FileMode mode{0644, ::geteuid(), ::getegid()};
  if (const auto old = open_regular(dir->get(), kIndexName, O_RDONLY, kIndexName)) {
    const auto before = read_fd(old->get(), kMaxIndex, kIndexName);
    if (before && *before == *text) return;
    struct stat status {};
    if (::fstat(old->get(), &status) == 0) mode.mode = status.st_mode & 0777U;
  }
  if (auto written = replace_file(system_files(), dir->get(), kIndexName, *text, mode); !written)
    return problem(where, written.error());
  report_.written.push_back(where);
}

}  // namespace

Result<IndexReport> write_index(const std::string& folder) {
  const auto top = open_dir(folder);
  if (!top) return within("mailbox folder", top.error());
  Indexer indexer;
  const auto open = [&](int dir, const std::string& name) {
    auto fd = open_below(dir, name);
    if (!fd && fd.error().code != Errc::not_found) indexer.report().problems.push_back(fd.error().message);
    return fd;
  };
  if (const auto to = open(top->get(), "to")) {
    indexer.boxes_in(to->get(), "to", &Box::to_host);
    if (const auto segments = open(to->get(), "segment"))
      indexer.boxes_in(segments->get(), "to/segment", &Box::to_segment);
  }
  if (const auto from = open(top->get(), "from")) indexer.boxes_in(from->get(), "from", &Box::from_host);
  return std::move(indexer.report());
}

}  // namespace jit
