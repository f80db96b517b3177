// What the module is as a file: what it exports, needs and weighs, and that it comes and goes without a trace.
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/pam/fixture.hpp"
#include "tests/unit/catch.hpp"

using namespace jit::pam::test;

namespace {

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
  REQUIRE(::pclose(pipe) == 0);
  return out;
}

std::set<std::string> last_words(const std::string& text) {
  std::set<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.insert(line.substr(line.rfind(' ') + 1));
  return out;
}

std::set<std::string> globals_of_map() {
  std::set<std::string> out;
  std::ifstream map(MODULE_MAP);
  for (std::string word; map >> word;)
    if (word.starts_with("pam_sm_")) out.insert(word.substr(0, word.size() - 1));
  return out;
}

bool mapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(path) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("the module exports what module.map says, which is what it implements", "[pam]") {
  const auto map = globals_of_map();
  CHECK(map == std::set<std::string>{"pam_sm_acct_mgmt", "pam_sm_open_session", "pam_sm_close_session"});
  if (JIT_SANITIZED) return;  // exports a sanitizer's own
  CHECK(last_words(output_of("nm -D --defined-only " PAM_JIT)) == map);
}

TEST_CASE("the module needs libc and libpam alone", "[pam]") {
  if (JIT_SANITIZED) return;
  const auto needed = last_words(output_of("readelf -dW " PAM_JIT " | grep NEEDED"));
  CHECK(needed == std::set<std::string>{"[libc.so.6]", "[libpam.so.0]"});
  const std::string dynamic = output_of("readelf -dW " PAM_JIT);
  CHECK(dynamic.find("BIND_NOW") != std::string::npos);
  CHECK(dynamic.find("TEXTREL") == std::string::npos);
  const std::string segments = output_of("readelf -lW " PAM_JIT);
  CHECK(segments.find("GNU_RELRO") != std::string::npos);
  CHECK(segments.find("RWE") == std::string::npos);
}

TEST_CASE("the module has no variables", "[pam]") {
  if (JIT_SANITIZED) return;
  // What is left is the C runtime's: __dso_handle and the flag of __do_global_dtors_aux.
  std::istringstream sections(output_of("size -A -d " PAM_JIT));
  for (std::string line; std::getline(sections, line);) {
    std::istringstream words(line);
    std::string name;
    std::size_t size = 0;
    if (!(words >> name >> size)) continue;
    INFO(line);
    if (name == ".data" || name == ".bss") CHECK(size <= 8);
    CHECK(name != ".tbss");
    CHECK(name != ".tdata");
    if (name == ".init_array" || name == ".fini_array") CHECK(size <= 8);
  }
}

TEST_CASE("stripped, the module is small", "[pam]") {
  if (!JIT_OPTIMISED || JIT_SANITIZED) return;
  const Place place;
  (void)output_of("strip -o stripped.so " PAM_JIT);
  struct stat status {};
  REQUIRE(::stat("stripped.so", &status) == 0);
  CHECK(status.st_size <= 56 * 1024);
}

TEST_CASE("the module asks for no allocation, thread, signal or environment", "[pam]") {
  if (JIT_SANITIZED) return;
  // free alone is there, for answers that the application made and the module has to let go of (pam_conv(3)).
  const auto wanted = last_words(output_of("nm -D --undefined-only " PAM_JIT " | sed 's/@.*//'"));
  for (const char* never :
       {"malloc",    "calloc",   "realloc",       "strdup", "_Znwm",        "_ZdlPv", "pthread_create", "signal",
        "sigaction", "getenv",   "secure_getenv", "atexit", "__cxa_atexit", "printf", "getpwnam",       "getpwnam_r",
        "getpwuid",  "getgrnam", "getgrouplist",  "system", "fork",         "exit",   "abort"})
    CHECK(wanted.count(never) == 0);
}

TEST_CASE("the module loads with everything resolved, and leaves nothing behind", "[pam]") {
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    void* module = ::dlopen(PAM_JIT, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(module != nullptr);
    CHECK(mapped("/pam_jit.so"));
    for (const char* name : {"pam_sm_acct_mgmt", "pam_sm_open_session", "pam_sm_close_session"})
      CHECK(::dlsym(module, name) != nullptr);
    for (const char* name : {"pam_sm_authenticate", "pam_sm_setcred", "pam_sm_chauthtok"})
      CHECK(::dlsym(module, name) == nullptr);
    CHECK(::dlclose(module) == 0);
    CHECK_FALSE(mapped("/pam_jit.so"));
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("the module that is installed takes no paths from the tests", "[pam]") {
  const std::string strings = output_of("strings " PAM_JIT);
  CHECK(strings.find("/run/jit/check.sock") != std::string::npos);
  CHECK(strings.find("/run/jit/board") != std::string::npos);
  CHECK(strings.find("\ncheck.sock\n") == std::string::npos);
}
