// Recordings come to stand under the grant that their process belongs to; the kernel says which folder is whose.
#include "jitd/effects/recordings.hpp"

#include <filesystem>

#include "jitd/effects/sudo_defaults.hpp"
#include "tests/unit/catch.hpp"
#include "tests/unit/effects/private_etc.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using namespace jit::hosttest;

namespace {

const std::string kGrant = "0123456789abcdef";
const std::string kOther = "fedcba9876543210";

// A sudo that records: this process, with the folder open.
UniqueFd recording(const TempDir& dir, const std::string& name) {
  std::filesystem::create_directory(dir / name);
  put(dir / (name + "/log"), "1\n");
  return UniqueFd(::open((dir / name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

TEST_CASE("a recording comes to stand under its grant by number, and is written on", "[effects][recordings]") {
  const TempDir dir;
  const Recordings recordings(dir.path());
  CHECK_FALSE(recordings.claim(kGrant, ::getpid()).value());  // none
  CHECK_FALSE(there(dir / kGrant));
  {
    const UniqueFd folder = recording(dir, "unclaimed-AbC123");
    const UniqueFd file(::openat(folder.get(), "timing", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    CHECK(recordings.claim(kGrant, ::getpid()).value());
    CHECK(look(dir / kGrant).st_mode == (S_IFDIR | 0700U));
    REQUIRE(::write(file.get(), "1 2 3\n", 6) == 6);
    CHECK(get(dir / (kGrant + "/1/timing")) == "1 2 3\n");
    CHECK_FALSE(there(dir / "unclaimed-AbC123"));
    CHECK(recordings.claim(kGrant, ::getpid()).value());  // asked again: it is there
    CHECK_FALSE(there(dir / (kGrant + "/2")));
  }
  put(dir / (kGrant + "/notes"), "");
  for (const char* number : {"2", "3"}) {
    const UniqueFd folder = recording(dir, "unclaimed-AbC124");
    CHECK(recordings.claim(kGrant, ::getpid()).value());
    CHECK(there(dir / (kGrant + "/" + number + "/log")));
  }
  const UniqueFd folder = recording(dir, "unclaimed-AbC125");
  CHECK(recordings.claim(kOther, ::getpid()).value());
  CHECK(there(dir / (kOther + "/1/log")));
}

TEST_CASE("only what the process itself has open is taken, and nothing goes astray", "[effects][recordings]") {
  const TempDir dir;
  const TempDir elsewhere;
  const Recordings recordings(dir.path());
  std::filesystem::create_directory(dir / "unclaimed-other1");  // somebody else's, not open here
  const UniqueFd foreign = recording(elsewhere, "unclaimed-AbC123");
  put(dir / "unclaimed-file12", "");
  const UniqueFd file(::open((dir / "unclaimed-file12").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(recordings.claim(kGrant, ::getpid()).value());
  CHECK(there(dir / "unclaimed-other1"));

  SECTION("the folder was swapped for another of the same name") {
    const UniqueFd folder = recording(dir, "unclaimed-AbC123");
    std::filesystem::rename(dir / "unclaimed-AbC123", dir / "unclaimed-kept12");
    std::filesystem::rename(dir / "unclaimed-kept12", elsewhere / "away");
    std::filesystem::create_directory(dir / "unclaimed-AbC123");
    CHECK_FALSE(recordings.claim(kGrant, ::getpid()).value());
    CHECK(there(dir / "unclaimed-AbC123"));
  }
  SECTION("another came in its place, by the name that the kernel gives a folder which is gone") {
    const UniqueFd folder = recording(dir, "unclaimed-AbC123");
    std::filesystem::remove_all(dir / "unclaimed-AbC123");
    std::filesystem::create_directory(dir / "unclaimed-AbC123 (deleted)");
    const auto claimed = recordings.claim(kGrant, ::getpid());
    REQUIRE_FALSE(claimed);
    CHECK(claimed.error().code == Errc::refused);
    CHECK(there(dir / "unclaimed-AbC123 (deleted)"));
  }
  SECTION("a folder of the user's own that the kernel calls as one of ours") {
    const auto etc = PrivateEtc::make();
    if (!etc) return;
    const std::string first = dir / (kGrant + "/1");
    std::filesystem::create_directories(first);
    const UniqueFd forged(::open(first.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(::mount("ours", first.c_str(), "tmpfs", 0, nullptr) == 0);  // what that path is from here on
    CHECK_FALSE(recordings.claim(kGrant, ::getpid()));
    const UniqueFd folder = recording(dir, "unclaimed-AbC777");
    CHECK(recordings.claim(kGrant, ::getpid()).value_or(false));
    CHECK(there(dir / (kGrant + "/2/log")));
  }
  SECTION("a folder within one") {
    std::filesystem::create_directory(dir / "unclaimed-AbC123");
    const UniqueFd inner = recording(dir, "unclaimed-AbC123/00");
    CHECK_FALSE(recordings.claim(kGrant, ::getpid()).value());
    CHECK(there(dir / "unclaimed-AbC123/00"));
  }
  SECTION("the grant's own folder is a link") {
    const UniqueFd folder = recording(dir, "unclaimed-AbC123");
    REQUIRE(::symlink(elsewhere.path().c_str(), (dir / kGrant).c_str()) == 0);
    CHECK_FALSE(recordings.claim(kGrant, ::getpid()));
    CHECK(there(dir / "unclaimed-AbC123"));
  }
  SECTION("it was removed meanwhile") {
    const UniqueFd folder = recording(dir, "unclaimed-AbC123");
    std::filesystem::remove_all(dir / "unclaimed-AbC123");
    const auto claimed = recordings.claim(kGrant, ::getpid());
    CHECK_FALSE(claimed.value_or(false));
  }
  CHECK_FALSE(recordings.claim(kGrant, 0x7fffffff));  // no such process
}

TEST_CASE("Defaults that would lose a recording are told, by sudo's own listing", "[effects][recordings]") {
  const std::string head = "Matching Defaults entries for alice on db1:\n    env_reset, secure_path=/a\\:/b";
  const std::string ours = ", iolog_dir=/var/log/jit-io, iolog_file=unclaimed-XXXXXX, iolog_flush";
  const std::string tail =
      "\n\nUser alice may run the following commands on db1:\n    (#0) LOG_OUTPUT: /usr/bin/id\n";
  const auto later = [](const std::string& what) {
    return "\n\nRunas and Command-specific defaults for alice:\n    Defaults!/usr/bin/id " + what;
  };
  const auto why = [](const std::string& listing) {
    INFO(listing);
    const auto fine = check_recording_defaults(listing);
    return fine ? std::string() : fine.error().message;
  };
  CHECK(why(head + ours + tail).empty());
  CHECK(why(head + ", iolog_dir=/x, ignore_iolog_errors" + ours + ", !ignore_iolog_errors" + tail).empty());
  CHECK(why(head + ours + later("env_reset") + tail).empty());
  CHECK(why(head + ours + later("!ignore_iolog_errors") + tail).empty());
  CHECK(why(head + tail).find("sends recordings to") != std::string::npos);
  CHECK(why("").find("sends recordings to") != std::string::npos);
  CHECK(why(head + ours + ", iolog_dir=/var/log/else" + tail).find("/var/log/else") != std::string::npos);
  CHECK(why(head + ours + ", iolog_file=%{seq}" + tail).find("iolog_file") != std::string::npos);
  CHECK(why(head + ours + ", ignore_iolog_errors" + tail).find("ignore_iolog_errors") != std::string::npos);
  CHECK(why(head + ", ignore_iolog_errors" + ours + tail).find("ignore_iolog_errors") != std::string::npos);
  CHECK(why(head + ", passprompt=a\\, iolog_file=unclaimed-X\\, iolog_dir=/var/log/jit-io" + tail).find("sends") !=
        std::string::npos);
  for (const char* what : {"iolog_dir=/x", "iolog_file=x", "ignore_iolog_errors", "!ignore_dot, ignore_iolog_errors"})
    CHECK(why(head + ours + later(what) + tail).find("for commands or for users to run as") != std::string::npos);
}
