// Command paths: root's alone, from / to the file, links included.
#include <fcntl.h>

#include "jitd/core/root_path.hpp"
#include "jitd/sys/files.hpp"
#include "tests/unit/core/host_dir.hpp"

using namespace jit;
using test::HostDir;

namespace {

class Tree : public HostDir {
 public:
  Tree() {
    write("/usr/bin/tool", "#!/bin/true\n", 0755);
    std::filesystem::create_symlink("usr/bin", root + "/bin");
    for (const char* dir : {"", "/usr", "/usr/bin"}) REQUIRE(::chmod((root + dir).c_str(), 0755) == 0);
  }
  [[nodiscard]] Result<std::string> check(const std::string& path) const {
    const auto dir = open_dir(root);
    REQUIRE(dir.has_value());
    return check_root_path(dir->get(), path);
  }
  [[nodiscard]] std::string refused(const std::string& path) const {
    const auto result = check(path);
    INFO(path);
    REQUIRE_FALSE(result.has_value());
    return result.error().message;
  }
  void link(const std::string& target, const std::string& path) const {
    std::filesystem::create_symlink(target, root + path);
  }
  void owner(const std::string& path, uid_t uid, gid_t gid = 0) const {
    REQUIRE(::lchown((root + path).c_str(), uid, gid) == 0);
  }
};

}  // namespace

TEST_CASE("a path that is root's alone leads to its file", "[core][host]") {
  if (::geteuid() != 0) return;
  const Tree tree;
  CHECK(tree.check("/usr/bin/tool") == "/usr/bin/tool");
  CHECK(tree.check("/bin/tool") == "/usr/bin/tool");
  tree.link("/usr/bin/tool", "/usr/bin/alias");
  CHECK(tree.check("/bin/alias") == "/usr/bin/tool");
  tree.link("../bin/./tool", "/usr/bin/relative");
  CHECK(tree.check("/usr/bin/relative") == "/usr/bin/tool");
  tree.link("../../../../../usr/bin/tool", "/usr/bin/beyond");  // ".." of the root is the root
  CHECK(tree.check("/usr/bin/beyond") == "/usr/bin/tool");
}

TEST_CASE("a path of which anybody else holds a part is refused, naming that part", "[core][host]") {
  if (::geteuid() != 0) return;
  const Tree tree;
  const auto mode = [&](const std::string& path, mode_t bits) {
    REQUIRE(::chmod((tree.root + path).c_str(), bits) == 0);
  };
  SECTION("the file") {
    mode("/usr/bin/tool", 0757);
    CHECK(tree.refused("/bin/tool") == "/usr/bin/tool may be written by others than root");
    mode("/usr/bin/tool", 0775);
    CHECK(tree.check("/bin/tool").has_value());  // root's own group
    tree.owner("/usr/bin/tool", 0, 50);
    CHECK(tree.refused("/bin/tool") == "/usr/bin/tool may be written by others than root");
    tree.owner("/usr/bin/tool", 1000);
    CHECK(tree.refused("/bin/tool") == "/usr/bin/tool belongs to uid 1000, not to root");
  }
  SECTION("a directory on the way, sticky or not") {
    mode("/usr", 01777);
    CHECK(tree.refused("/bin/tool") == "/usr may be written by others than root");
    mode("/usr", 0755);
    tree.owner("/usr", 7);
    CHECK(tree.refused("/bin/tool") == "/usr belongs to uid 7, not to root");
  }
  SECTION("the root itself") {
    mode("", 0777);
    CHECK(tree.refused("/bin/tool") == "/ may be written by others than root");
  }
  SECTION("a link") {
    tree.owner("/bin", 1000);
    CHECK(tree.refused("/bin/tool") == "/bin belongs to uid 1000, not to root");
    CHECK(tree.check("/usr/bin/tool").has_value());
  }
  SECTION("what a link leads to") {
    tree.write("/home/x/tool", "", 0755);
    tree.owner("/home/x", 1000);
    tree.link("/home/x/tool", "/usr/bin/planted");
    CHECK(tree.refused("/usr/bin/planted") == "/home/x belongs to uid 1000, not to root");
  }
}

TEST_CASE("what is no command is refused", "[core][host]") {
  if (::geteuid() != 0) return;
  const Tree tree;
  CHECK(tree.refused("/usr/bin") == "/usr/bin is a directory, not a command");
  CHECK(tree.refused("/").find("is a directory, not a command") != std::string::npos);
  CHECK(tree.refused("usr/bin/tool") == "usr/bin/tool is not an absolute path");
  CHECK(tree.check("/usr/bin/none").error().code == Errc::not_found);
  CHECK(tree.refused("/usr/bin/tool/x") == "/usr/bin/tool is not a directory");
  tree.write("/usr/bin/data", "", 0644);
  CHECK(tree.refused("/usr/bin/data") == "/usr/bin/data cannot be executed");
  REQUIRE(::mkfifo((tree.root + "/usr/bin/fifo").c_str(), 0700) == 0);
  CHECK(tree.refused("/usr/bin/fifo") == "/usr/bin/fifo is not a regular file");
  tree.link("/usr/bin/loop", "/usr/bin/loop");
  CHECK(tree.refused("/usr/bin/loop") == "/usr/bin/loop: too many links");
}
