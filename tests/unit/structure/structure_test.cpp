// The order of the parts (top of the root CMakeLists.txt), read from the sources' includes and the libraries'
// symbols. An arrow against it makes this red.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/catch.hpp"

namespace fs = std::filesystem;

namespace {

const fs::path kSource = JIT_SOURCE_DIR;
const fs::path kBuild = JIT_BINARY_DIR;

// A part may include what starts with one of these, besides itself. `board` is jitd/wire's one file that only jitd
// has.
const std::map<std::string, std::set<std::string>> kMayKnow = {
    {"policy", {}},
    {"jitd/wire", {}},
    {"board", {"jitd/wire", "policy"}},
    {"pam_jit", {"jitd/wire"}},
    {"jitd/sys", {"policy"}},
    {"jitd/gates", {"jitd/sys", "policy"}},
    {"jitd/sync", {"jitd/sys", "policy"}},
    {"jitd/store", {"jitd/sys", "jitd/wire", "policy"}},
    {"jitd/effects", {"jitd/store", "jitd/sys", "jitd/wire", "policy"}},
    {"jitd/audit", {"jitd/store", "jitd/sys", "jitd/wire", "policy"}},
    {"jitd/core",
     {"jitd/audit", "jitd/effects", "jitd/store", "jitd/gates", "board", "jitd/sys", "jitd/wire", "policy"}},
    {"jitd/server",
     {"jitd/core", "jitd/audit", "jitd/effects", "jitd/store", "jitd/gates", "board", "jitd/sys", "jitd/wire",
      "policy"}},
    {"jitctl", {"jitd/sync", "jitd/gates", "jitd/sys", "jitd/wire", "policy"}},
};

std::string part_of(const std::string& path) {
  if (path.starts_with("jitd/wire/board_writer")) return "board";
  if (path.starts_with("jitd/")) return path.substr(0, path.find('/', 5));
  return path.substr(0, path.find('/'));
}

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What a command of binutils prints; every path in it is ours.
std::vector<std::string> output(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 65536> chunk{};
  for (std::size_t got = 0; (got = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) > 0;)
    text.append(chunk.data(), got);
  std::istringstream in(text);
  return lines_of(in);
}

bool sanitized() {
  std::ifstream cache(kBuild / "CMakeCache.txt");
  for (const std::string& line : lines_of(cache)) {
    if (line.starts_with("JIT_SANITIZE:STRING=")) return line.size() > std::string("JIT_SANITIZE:STRING=").size();
  }
  return false;
}

// Symbols of a library: those it defines and those it wants.
struct Symbols {
  std::set<std::string> defined;
  std::set<std::string> wanted;
};

Symbols symbols_of(const fs::path& library) {
  Symbols symbols;
  for (const std::string& line : output(fmt::format("nm -C '{}' 2>/dev/null", library.string()))) {
    if (line.size() < 19) continue;
    const char kind = line[17];
    const std::string name = line.substr(19);
    (kind == 'U' ? symbols.wanted : symbols.defined).insert(name);
  }
  for (const std::string& name : symbols.defined) symbols.wanted.erase(name);
  return symbols;
}

fs::path library_of(const std::string& part) {
  static const std::map<std::string, std::string> kLibraries = {
      {"policy", "policy/libjit_policy.a"},      {"jitd/wire", "jitd/libjit_wire.a"},
      {"board", "jitd/libjit_board.a"},          {"pam_jit", "pam_jit/libjit_pam_logic.a"},
      {"jitd/sys", "jitd/libjit_sys.a"},         {"jitd/sync", "jitd/libjit_sync.a"},
      {"jitd/gates", "jitd/libjit_gates.a"},     {"jitd/store", "jitd/libjit_store.a"},
      {"jitd/effects", "jitd/libjit_effects.a"}, {"jitd/audit", "jitd/libjit_audit.a"},
      {"jitd/core", "jitd/libjit_core.a"},       {"jitd/server", "jitd/libjit_server.a"},
      {"jitctl", "jitctl/libjit_ctl.a"}};
  return kBuild / kLibraries.at(part);
}

}  // namespace

TEST_CASE("no part includes one that stands above it", "[structure]") {
  unsigned files = 0;
  for (const char* top : {"policy", "pam_jit", "jitd", "jitctl"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kSource / top)) {
      const std::string name = entry.path().extension();
      if (name != ".cpp" && name != ".hpp") continue;
      const std::string path = fs::relative(entry.path(), kSource);
      if (path == "jitd/main.cpp") continue;  // puts all of jitd together
      const std::string part = part_of(path);
      INFO(path);
      REQUIRE(kMayKnow.count(part) == 1);
      ++files;
      std::ifstream in(entry.path());
      for (const std::string& line : lines_of(in)) {
        if (!line.starts_with("#include \"")) continue;
        const std::string included = line.substr(10, line.find('"', 10) - 10);
        INFO(line);
        CHECK(fs::exists(kSource / included));
        const std::string other = part_of(included);
        const bool allowed = other == part || kMayKnow.at(part).count(other) == 1;
        CHECK(allowed);
      }
    }
  }
  CHECK(files > 50);
}

// Two types of one name link without a word and then overwrite each other's objects.
TEST_CASE("no two headers define a type of the same name", "[structure]") {
  std::map<std::string, std::string> defined;
  const std::regex opening(R"(^namespace ([a-z:]+) \{)");
  const std::regex type(R"(^(?:struct|class|enum class|enum) ([A-Za-z0-9_]+)(?: final)?(?: : [^;]*)? \{)");
  for (const char* top : {"policy", "pam_jit", "jitd", "jitctl"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kSource / top)) {
      if (entry.path().extension() != ".hpp") continue;
      std::string space;
      std::ifstream in(entry.path());
      for (const std::string& line : lines_of(in)) {
        std::smatch match;
        if (std::regex_search(line, match, opening)) space = match[1];
        if (!std::regex_search(line, match, type)) continue;
        const auto [other, fresh] = defined.emplace(space + "::" + match[1].str(), entry.path());
        INFO(other->first << " in " << other->second << " and " << entry.path().string());
        CHECK(fresh);
      }
    }
  }
  CHECK(defined.size() > 50);
}

TEST_CASE("no library wants a symbol of a part that it may not know", "[structure]") {
  std::map<std::string, Symbols> all;
  for (const auto& [part, may_know] : kMayKnow) {
    if (fs::exists(library_of(part))) all[part] = symbols_of(library_of(part));
  }
  if (all.empty()) WARN("nothing built: no symbols looked at");
  for (const auto& [part, symbols] : all) {
    for (const auto& [other, others] : all) {
      if (other == part || kMayKnow.at(part).count(other) == 1) continue;
      for (const std::string& name : symbols.wanted) {
        if (name.find("jit::") == std::string::npos || others.defined.count(name) == 0) continue;
        // A symbol that an allowed part defines too (an inline function) is no arrow.
        bool elsewhere = false;
        for (const std::string& allowed : kMayKnow.at(part)) {
          elsewhere = elsewhere || (all.count(allowed) == 1 && all[allowed].defined.count(name) == 1);
        }
        INFO(part << " wants " << name << " of " << other);
        CHECK(elsewhere);
      }
    }
  }
}

TEST_CASE("wire and the module's logic are freestanding", "[structure]") {
  for (const char* part : {"jitd/wire", "pam_jit"}) {
    const fs::path library = library_of(part);
    if (!fs::exists(library) || sanitized()) continue;
    for (const std::string& name : symbols_of(library).wanted) {
      INFO(part << " wants " << name);
      const bool heap = name.starts_with("operator new") || name.starts_with("operator delete") || name == "malloc" ||
                        name == "calloc" || name == "realloc" || name == "free" || name == "strdup";
      CHECK_FALSE(heap);
      if (name.starts_with("std::__glibcxx_assert_fail(")) continue;  // hardening; the module brings its own
      const bool runtime = name.starts_with("std::") || name.starts_with("__cxa_") || name.starts_with("__gxx_") ||
                           name.starts_with("vtable for __cxxabiv1");
      CHECK_FALSE(runtime);
    }
  }
}

TEST_CASE("pam_jit.so needs libc and libpam alone and shows nothing but its entry points", "[structure]") {
  const fs::path module = kBuild / "pam_jit/pam_jit.so";
  if (!fs::exists(module) || sanitized()) return;
  for (const std::string& line : output(fmt::format("readelf -Wd '{}'", module.string()))) {
    if (line.find("(NEEDED)") == std::string::npos) continue;
    INFO(line);
    const bool known = line.find("[libc.so.") != std::string::npos || line.find("[libpam.so.") != std::string::npos;
    CHECK(known);
  }
  unsigned shown = 0;
  for (const std::string& line : output(fmt::format("nm -D --defined-only '{}'", module.string()))) {
    INFO(line);
    const bool absolute = line.find(" A ") != std::string::npos;  // the version's own name
    const bool entry_point = line.find(" T pam_sm_") != std::string::npos;
    CHECK((absolute || entry_point));
    shown += entry_point ? 1 : 0;
  }
  CHECK(shown >= 3);
}
