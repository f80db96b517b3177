// A scratch directory that stands for a host: /etc, /etc/jit, /var/lib/jit. Gone when the test ends.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "jitd/core/host.hpp"
#include "tests/unit/catch.hpp"

namespace jit::test {

class HostDir {
 public:
  HostDir() {
    std::string name = (std::filesystem::temp_directory_path() / "jit-host-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    for (const char* dir : {"/etc/jit/policy.d", "/etc/jit/trust", "/etc/pam.d", "/var", "/run"}) {
      std::filesystem::create_directories(root + dir);
      REQUIRE(::chmod((root + dir).c_str(), 0755) == 0);
    }
    REQUIRE(::chmod((root + "/etc/jit").c_str(), 0755) == 0);
    paths = {root + "/etc/jit", root + "/var", root + "/run", root + "/etc"};
  }
  HostDir(const HostDir&) = delete;
  HostDir& operator=(const HostDir&) = delete;
  ~HostDir() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }

  // `path` below the root, with its directories.
  void write(const std::string& path, const std::string& text, mode_t mode = 0644) const {
    const std::filesystem::path whole = root + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary) << text;
    REQUIRE(::chmod(whole.c_str(), mode) == 0);
  }
  [[nodiscard]] std::string read(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(root + path, std::ios::binary).rdbuf();
    return text.str();
  }
  [[nodiscard]] mode_t mode(const std::string& path) const {
    struct stat status {};
    REQUIRE(::stat((root + path).c_str(), &status) == 0);
    return status.st_mode & 07777U;
  }

  std::string root;
  Paths paths;
};

}  // namespace jit::test
