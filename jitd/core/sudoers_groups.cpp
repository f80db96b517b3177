#include "jitd/core/sudoers_groups.hpp"

#include <sys/utsname.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxSudoers = std::size_t{8} * 1024 * 1024;
constexpr unsigned kMaxIncludes = 128;  // nested, sudo's own limit

constexpr std::string_view kBlanks = " \t";

// The group of a word that starts with '%', quotes and backslashes taken off. What a user may put between % and the
// name
// (%:nonunix, %#gid) is told apart here.
void note_group(std::string word, SudoersGroups& groups) {
  word.erase(0, 1);
  if (word.starts_with('#')) {
    if (const auto gid = parse_number(std::string_view(word).substr(1), UINT32_MAX))
      groups.gids.insert(static_cast<std::uint32_t>(*gid));
    return;
  }
  if (word.starts_with(':')) word.erase(0, 1);
  if (!word.empty()) groups.names.insert(std::move(word));
}

// Reads one word from `line` at `position`: up to a delimiter, or to the closing quote when it is quoted.
std::string read_word(std::string_view line, std::size_t& position, bool in_quotes) {
  std::string word;
  bool quoted = in_quotes;
  while (position < line.size()) {
    const char c = line[position];
    if (c == '\\' && position + 1 < line.size()) {
      word += line[position + 1];
      position += 2;
      continue;
    }
    if (c == '"') {
      ++position;
      if (in_quotes) break;
      quoted = !quoted;
      continue;
    }
    // ':' also separates rules, but only behind a blank or a name; in "%:name" it belongs to the word.
    const bool delimiter =
        std::string_view(" \t,=!()").find(c) != std::string_view::npos || (c == ':' && word.size() > 1);
    if (!quoted && delimiter) break;
    word += c;
    ++position;
  }
  return word;
}

void scan_line(std::string_view line, SudoersGroups& groups) {
  char before = ' ';
  for (std::size_t position = 0; position < line.size();) {
    const char c = line[position];
    if (c == '#' && (position == 0 || kBlanks.find(before) != std::string_view::npos) &&
        !(position + 1 < line.size() && line[position + 1] >= '0' && line[position + 1] <= '9'))
      return;  // a comment; #1000 is a uid
    if (c == '\\') {
      position += 2;
      before = 'x';
    } else if (c == '%' && std::string_view(" \t,=:!(\"").find(before) != std::string_view::npos) {
      note_group(read_word(line, position, before == '"'), groups);
      before = ' ';
    } else {
      before = c;
      ++position;
    }
  }
}

std::optional<SudoersInclude> include_of(std::string_view line) {
  const std::size_t start = line.find_first_not_of(kBlanks);
  if (start == std::string_view::npos || (line[start] != '@' && line[start] != '#')) return std::nullopt;
  std::string_view rest = line.substr(start + 1);
  const bool directory = rest.starts_with("includedir");
  if (!directory && !rest.starts_with("include")) return std::nullopt;
  rest.remove_prefix(directory ? 10 : 7);
  const std::size_t path = rest.find_first_not_of(kBlanks);
  if (path == 0 || path == std::string_view::npos) return std::nullopt;  // "#includes", or nothing behind it
  std::size_t position = 0;
  rest.remove_prefix(path);
  const bool quoted = rest.front() == '"';
  if (quoted) rest.remove_prefix(1);
  std::string word;
  while (position < rest.size() &&
         (quoted ? rest[position] != '"' : kBlanks.find(rest[position]) == std::string_view::npos)) {
    if (rest[position] == '\\' && position + 1 < rest.size()) ++position;
    word += rest[position++];
  }
  return SudoersInclude{std::move(word), directory};
}

std::string with_host(std::string path) {
  struct utsname kernel {};
  if (path.find("%h") == std::string::npos || ::uname(&kernel) != 0) return path;
  std::string host = kernel.nodename;
  host = host.substr(0, host.find('.'));
  for (std::size_t at = path.find("%h"); at != std::string::npos; at = path.find("%h", at + host.size()))
    path.replace(at, 2, host);
  return path;
}

// Reads a sudoers file and what it includes. sudoers may be a link (as may its directory), unlike our own files.
class Reader {
 public:
  Result<void> file(const std::string& path, unsigned depth) {
    if (depth > kMaxIncludes) return fail(Errc::invalid, path + ": sudoers includes are nested too deep");
    std::error_code error;
    const std::string real = std::filesystem::canonical(path, error).string();
    if (error == std::errc::no_such_file_or_directory) return {};
    if (error) return fail_errno(error.value(), path);
    if (!seen_.insert(real).second) return {};
    const auto text = read_file(real, kMaxSudoers);
    if (!text) return text.error().code == Errc::not_found ? Result<void>{} : within("sudoers", text.error());
    for (const SudoersInclude& include : scan_sudoers(*text, groups)) {
      std::string next = with_host(include.path);
      if (!next.starts_with('/')) next.insert(0, path, 0, path.rfind('/') + 1);
      if (auto read = include.directory ? directory(next, depth + 1) : file(next, depth + 1); !read) return read;
    }
    return {};
  }

  SudoersGroups groups;

 private:
  // sudo skips names with a dot or a tilde at the end; so do we, since packagers leave backups there.
  Result<void> directory(const std::string& path, unsigned depth) {
    std::error_code error;
    const std::string real = std::filesystem::canonical(path, error).string();
    if (error == std::errc::no_such_file_or_directory) return {};
    if (error) return fail_errno(error.value(), path);
    const auto dir = open_dir(real);
    if (!dir) return tl::unexpected<Error>(dir.error());
    const auto names = list_dir(dir->get());
    if (!names) return within(path, names.error());
    for (const std::string& name : *names) {
      if (name.find('.') != std::string::npos || name.ends_with('~')) continue;
      std::string next = real;
      next += "/" + name;
      if (std::filesystem::is_directory(next, error)) continue;
      if (auto read = file(next, depth); !read) return read;
    }
    return {};
  }

  std::set<std::string> seen_;
};

}  // namespace

std::vector<SudoersInclude> scan_sudoers(std::string_view text, SudoersGroups& groups) {
  std::vector<SudoersInclude> includes;
  std::string joined_line;  // a backslash at the end joins lines, in the middle of a word too
  for (std::string_view part : split(text, '\n')) {
    if (part.ends_with('\r')) part.remove_suffix(1);
    if (part.ends_with('\\')) {
      joined_line += part.substr(0, part.size() - 1);
      continue;
    }
    joined_line += part;
    if (auto include = include_of(joined_line)) {
      includes.push_back(std::move(*include));
    } else {
      scan_line(joined_line, groups);
    }
    joined_line.clear();
  }
  scan_line(joined_line, groups);
  return includes;
}

Result<SudoersGroups> sudoers_groups(const std::string& etc) {
  Reader reader;
  for (const char* name : {"/sudoers", "/sudoers-rs"})
    if (auto read = reader.file(etc + name, 0); !read) return tl::unexpected<Error>(read.error());
  return std::move(reader.groups);
}

}  // namespace jit
