#include "pam_jit/system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/unit/catch.hpp"

using namespace jit::pam;

namespace {

std::string stat_line(const std::string& name, const std::string& start) {
  std::string out = "42 (" + name + ") S";
  for (int field = 4; field <= 21; ++field) out += " " + std::to_string(field);
  return out + " " + start + " 23 24\n";
}

// A directory of its own, gone at the end.
struct Directory {
  std::string path = "/tmp/jit-system-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() {
    for (const char* name : {"file", "link", "fifo"}) ::unlink((path + "/" + name).c_str());
    ::rmdir(path.c_str());
  }
};

}  // namespace

TEST_CASE("the start of a process is found behind its name, whatever that is (CVE-2017-1000367)", "[pam_jit]") {
  CHECK(parse_started_ms(stat_line("sudo", "12345"), 100) == 123450);
  CHECK(parse_started_ms(stat_line(") R 0 0", "12345"), 100) == 123450);
  CHECK(parse_started_ms(stat_line("a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 0 ", "7"), 100) == 70);
  for (const char* bad : {"", "-1", "x", "9999999999999999"})
    CHECK(parse_started_ms(stat_line("sudo", bad), 100) == 0);
  for (const char* bad : {"", "42 sudo S 1", "42 (sudo", "42 (sudo)", "42 (sudo) S 1 2 3"})
    CHECK(parse_started_ms(bad, 100) == 0);
  CHECK(parse_started_ms(stat_line("sudo", "12345"), 0) == 0);
  const std::string cut = stat_line("sudo", "12345");
  CHECK(parse_started_ms(cut.substr(0, cut.find("12345") + 3), 100) == 0);  // the read ended within the number
  CHECK(process_started_ms() > 0);
  CHECK(process_started_ms() <= read_clocks().boot_ms);
}

TEST_CASE("P2: the note of a login is whole, new, and named by grant and process alone", "[pam_jit]") {
  const Directory directory;
  const std::string grant = "0123456789abcdef";
  const std::string path = directory.path + "/" + grant + ".77";
  const auto text = [&] {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const mode_t before = ::umask(0);
  CHECK(write_login_note(directory.path.c_str(), grant, 77, 123450));
  ::umask(before);
  CHECK(text() == "123450\n");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0600);
  CHECK(write_login_note(directory.path.c_str(), grant, 77, 999));  // of the process that has this pid now
  CHECK(text() == "999\n");
  for (const char* bad :
       {"", "0123456789abcde", "0123456789abcdefg", "0123456789abcdeF", "../../0123456789", "0123456789abcd/."})
    CHECK_FALSE(write_login_note(directory.path.c_str(), bad, 77, 1));
  CHECK_FALSE(write_login_note(directory.path.c_str(), grant, 77, 0));  // of an unknown start: of nobody
  CHECK_FALSE(write_login_note((directory.path + "/none").c_str(), grant, 77, 1));
  // A link in the place of the temporary file is not followed.
  REQUIRE(::symlink("link", (directory.path + "/." + grant + ".78.pam").c_str()) == 0);
  CHECK(write_login_note(directory.path.c_str(), grant, 78, 5));
  CHECK(::access((directory.path + "/link").c_str(), F_OK) != 0);
  ::unlink(path.c_str());
  ::unlink((directory.path + "/" + grant + ".78").c_str());
}

TEST_CASE("a trusted file is a regular one, of its owner, that nobody else can write", "[pam_jit]") {
  const Directory directory;
  const std::string path = directory.path + "/file";
  std::ofstream(path) << "0123456789";
  const uid_t me = ::geteuid();
  const auto opens = [&](const std::string& name, uid_t owner, bool follow) {
    TrustedFile file;
    return file.open(name.c_str(), owner, follow);
  };
  ::chmod(path.c_str(), 0600);
  CHECK(opens(path, me, false));
  CHECK_FALSE(opens(path, me + 1, false));
  ::chmod(path.c_str(), 0620);
  CHECK_FALSE(opens(path, me, false));
  ::chmod(path.c_str(), 0602);
  CHECK_FALSE(opens(path, me, false));
  ::chmod(path.c_str(), 0644);
  CHECK(opens(path, me, false));
  REQUIRE(::symlink(path.c_str(), (directory.path + "/link").c_str()) == 0);
  CHECK_FALSE(opens(directory.path + "/link", me, false));
  CHECK(opens(directory.path + "/link", me, true));
  REQUIRE(::mkfifo((directory.path + "/fifo").c_str(), 0600) == 0);
  CHECK_FALSE(opens(directory.path + "/fifo", me, false));  // and does not hang
  CHECK_FALSE(opens(directory.path, me, false));
  CHECK_FALSE(opens(directory.path + "/absent", me, false));

  TrustedFile file;
  REQUIRE(file.open(path.c_str(), me, false));
  std::byte bytes[4];
  CHECK(file.read(6, bytes));
  CHECK(bytes[0] == std::byte{'6'});
  CHECK_FALSE(file.read(7, bytes));  // not all of it
  CHECK_FALSE(file.read(UINT64_MAX, bytes));
  REQUIRE(::truncate(path.c_str(), 0) == 0);
  CHECK_FALSE(file.read(0, bytes));  // cut under us: a short read
}

TEST_CASE("P2: a new audit session is begun for whom the login is of, and only where jitd goes by it", "[pam_jit]") {
  const Directory directory;
  const std::string file = directory.path + "/file";
  const auto renew = [&](const char* before, const std::string& marker) {
    std::ofstream(file) << before;
    renew_audit_session(marker.c_str(), file.c_str(), 1001);
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  CHECK(renew("4294967295", "/nonexistent") == "4294967295");
  CHECK(renew("4294967295", directory.path) == "1001967295");  // the file is of the kernel's: each write is a whole
  CHECK(renew("77", directory.path) == "77");
  const Directory here;
  renew_audit_session(here.path.c_str(), (here.path + "/nowhere").c_str(), 1001);
}
