// Writing and taking out our lines: in texts, and in a directory of files.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "tests/unit/catch.hpp"

namespace fs = std::filesystem;
using jit::GateMode;

namespace {

const std::string kPlain =
    "# head\n\nauth required pam_unix.so\n\naccount required pam_unix.so\nsession required pam_unix.so\n";

// A pam.d of its own with the files of Debian 12.
class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "jit-pam-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    for (const auto& entry : fs::directory_iterator(fs::path(JIT_SOURCE_DIR) / "tests/unit/gates/stacks/debian-12")) {
      fs::copy(entry.path(), path / entry.path().filename());
    }
  }
  ~Directory() { fs::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream in(path / name);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
  void put(const std::string& name, const std::string& content) const { std::ofstream(path / name) << content; }

  fs::path path;
};

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("lines go first of account and last of session, with what a fresh gate needs", "[gates]") {
  const auto text = jit::with_lines(kPlain, GateMode::observe, {"sshd"}, {});
  REQUIRE(text);
  const std::string args = "required     pam_jit.so services=sshd mode=observe exempt=root timeout=500 # jit-gate\n";
  CHECK(*text == "# head\n\nauth required pam_unix.so\n\naccount    " + args +
                     "account required pam_unix.so\nsession required pam_unix.so\nsession    " + args);
  CHECK(jit::without_lines(*text) == kPlain);
}

TEST_CASE("a change of mode keeps the arguments that an admin gave", "[gates]") {
  auto text = jit::with_lines(kPlain, GateMode::observe, {"sshd"}, {"exempt=root,@breakglass", "timeout=900"});
  REQUIRE(text);
  text = jit::with_lines(*text, GateMode::enforce, {"sshd"}, {});
  REQUIRE(text);
  CHECK(count(*text, "services=sshd mode=enforce exempt=root,@breakglass timeout=900 # jit-gate\n") == 2);
  CHECK(count(*text, "pam_jit.so") == 2);
  text = jit::with_lines(*text, GateMode::enforce, {"sshd"}, {"timeout=100"});
  REQUIRE(text);
  CHECK(count(*text, "mode=enforce timeout=100 exempt=root,@breakglass # jit-gate\n") == 2);
  CHECK(jit::without_lines(*text) == kPlain);
}

TEST_CASE("what cannot carry our lines is left alone", "[gates]") {
  const auto refused = [](const std::string& text) {
    return !jit::with_lines(text, GateMode::observe, {"sshd"}, {});
  };
  CHECK(refused("auth required pam_unix.so\nsession required pam_unix.so\n"));  // account is left to `other`
  CHECK(refused("auth required pam_unix.so\naccount required pam_unix.so\n"));  // session is
  CHECK(refused(kPlain + "account required pam_jit.so services=sshd\n"));       // by hand: not ours to touch
  CHECK(refused(kPlain + "session required pam_unix.so \\\n"));
  CHECK(refused(kPlain + "nonsense\n"));
  CHECK_FALSE(refused(kPlain + "#account required pam_jit.so services=sshd\n"));
  CHECK_FALSE(refused("@include common-account"));
}

TEST_CASE("arguments that libpam would read as something else are refused", "[gates]") {
  for (const char* arg :
       {"exempt=a b", "exempt=a\nauth", "exempt=#x", "exempt=[x", "plain", "=x", "exempt=x\\", ""}) {
    INFO(arg);
    CHECK_FALSE(jit::with_lines(kPlain, GateMode::observe, {"sshd"}, {arg}));
  }
  CHECK_FALSE(jit::with_lines(kPlain, GateMode::observe, {"a b"}, {}));
  CHECK_FALSE(jit::with_lines(kPlain, GateMode::observe, {}, {}));
  // A rule longer than what Debian 12's libpam reads makes it give up on the whole file: everybody is locked out.
  CHECK_FALSE(jit::with_lines(kPlain, GateMode::observe, {"sshd"}, {"exempt=" + std::string(1000, 'x')}));
}

TEST_CASE("only lines with our module and our mark are taken out", "[gates]") {
  CHECK(jit::without_lines("account required pam_jit.so\n") == "account required pam_jit.so\n");
  CHECK(jit::without_lines("account required pam_unix.so # jit-gate\n") ==
        "account required pam_unix.so # jit-gate\n");
  CHECK(jit::without_lines("account required pam_unix.so pam_jit.so # jit-gate\n") != "");
  CHECK(jit::without_lines("account required pam_jit.so \\\n  services=a # jit-gate\nx y z\n") == "x y z\n");
  CHECK(jit::without_lines("-account required /lib/security/pam_jit.so#jit-gate") == "");
  // Also from a file that no longer parses as a whole.
  CHECK(jit::without_lines("account required pam_jit.so # jit-gate\nsession x \\\n") == "session x \\\n");
  CHECK(jit::without_lines("session x \\\naccount required pam_jit.so # jit-gate\nauth y \\\n").size() > 40);
}

TEST_CASE("a gate on sudo is one on sudo -i, and su's covers su -", "[gates]") {
  const Directory dir;
  auto files = jit::set_gate(dir.path, "sudo", GateMode::enforce, {});
  REQUIRE(files);
  CHECK(*files == std::vector<std::string>{"sudo", "sudo-i"});
  CHECK(count(dir.text("sudo-i"), "services=sudo-i mode=enforce") == 2);
  files = jit::set_gate(dir.path, "su-l", GateMode::enforce, {});
  REQUIRE(files);
  CHECK(*files == std::vector<std::string>{"su"});
  CHECK(count(dir.text("su"), "services=su,su-l mode=enforce") == 2);
  CHECK(count(dir.text("su-l"), "pam_jit") == 0);
  const auto reaching = jit::services_reaching(dir.path, "su");
  REQUIRE(reaching);
  CHECK(*reaching == std::vector<std::string>{"su", "su-l"});

  auto found = jit::find_lines(dir.path);
  REQUIRE(found);
  CHECK(found->size() == 6);
  REQUIRE(jit::remove_gate(dir.path, "sudo-i"));
  REQUIRE(jit::remove_gate(dir.path, "su"));
  found = jit::find_lines(dir.path);
  REQUIRE(found);
  CHECK(found->empty());
}

TEST_CASE("files keep owner and mode, links and strangers are not written through", "[gates]") {
  const Directory dir;
  REQUIRE(::chmod((dir.path / "sshd").c_str(), 0640) == 0);
  REQUIRE(jit::write_lines(dir.path, "sshd", GateMode::observe, {"sshd"}, {}));
  struct stat status {};
  REQUIRE(::stat((dir.path / "sshd").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0640);
  for (const auto& entry : fs::directory_iterator(dir.path)) CHECK(entry.path().filename().string().front() != '.');

  fs::create_symlink(dir.path / "sshd", dir.path / "linked");
  CHECK_FALSE(jit::write_lines(dir.path, "linked", GateMode::observe, {"linked"}, {}));
  CHECK_FALSE(jit::write_lines(dir.path, "../shadow", GateMode::observe, {"x"}, {}));
  CHECK_FALSE(jit::write_lines(dir.path, "absent", GateMode::observe, {"absent"}, {}));
  REQUIRE(jit::remove_lines(dir.path, "absent"));
  CHECK_FALSE(*jit::remove_lines(dir.path, "absent"));
}

TEST_CASE("nothing is written where the proof fails", "[gates]") {
  const Directory dir;
  dir.put("bad",
          "auth required pam_unix.so\naccount include early\naccount required pam_unix.so\nsession required "
          "pam_unix.so\n");
  dir.put("early", "account required pam_unix.so\n");
  REQUIRE(jit::write_lines(dir.path, "bad", GateMode::enforce, {"bad"}, {}));
  REQUIRE(*jit::remove_lines(dir.path, "bad"));
  dir.put("early", "account [default=reset] pam_unix.so\n");
  const std::string before = dir.text("bad");
  const auto written = jit::write_lines(dir.path, "bad", GateMode::enforce, {"bad"}, {});
  REQUIRE_FALSE(written);
  CHECK(written.error().message.find("early:1") != std::string::npos);
  CHECK(dir.text("bad") == before);
}

TEST_CASE("package removal sees every line that would lock people out, and no comment or leftover", "[gates]") {
  const Directory dir;
  dir.put("mine", "auth required pam_unix.so\n-account required /opt/pam_jit.so services=mine\n");
  dir.put("broken", "account required pam_jit.so services=x # jit-gate\nsession x \\\n");
  dir.put("quoted", "#account required pam_jit.so\naccount required pam_unix.so # pam_jit.so\n");
  dir.put("sshd.dpkg-old", "account required pam_jit.so\n");
  const auto found = jit::find_lines(dir.path);
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK((*found)[0].file == (dir.path / "broken").string());
  CHECK((*found)[0].marked);
  CHECK((*found)[1].line == 2);
  CHECK_FALSE((*found)[1].marked);
}

TEST_CASE("back to observe and off need no proof", "[gates]") {
  const Directory dir;
  REQUIRE(jit::set_gate(dir.path, "sshd", GateMode::enforce, {"exempt=root", "timeout=700"}));
  const std::string enforced = dir.text("sshd");
  REQUIRE(count(enforced, "mode=enforce") == 2);
  std::string after = enforced;
  SECTION("a line written by hand stands there") {
    after += "account required pam_jit.so services=x mode=enforce\n";
    dir.put("sshd", after);
  }
  SECTION("what stands behind forgets a refusal") {
    after += "account [default=reset] pam_unix.so\n";
    dir.put("sshd", after);
  }
  SECTION("the file does not parse") {
    after += "session nonsense \\\n";
    dir.put("sshd", after);
  }
  SECTION("an include leads nowhere") {
    after += "account include nowhere\n";
    dir.put("sshd", after);
  }
  SECTION("the service became a link") {
    fs::create_directory(dir.path / "elsewhere");
    fs::rename(dir.path / "sshd", dir.path / "elsewhere" / "sshd");
    fs::create_symlink("elsewhere/sshd", dir.path / "sshd");
  }
  SECTION("its lines moved into another file, which it includes") {
    dir.put("sshd", "@include mine\n");
    dir.put("mine", after);
  }
  const bool moved = fs::exists(dir.path / "mine");
  const bool linked = fs::is_symlink(dir.path / "sshd");
  const std::string where = moved ? "mine" : "sshd";
  const auto eased = jit::set_gate(dir.path, "sshd", GateMode::observe, {});
  REQUIRE(eased);
  CHECK(count(dir.text(where), "services=sshd mode=observe exempt=root timeout=700 # jit-gate") == 2);
  CHECK(count(dir.text(where), "services=sshd mode=enforce") == 0);
  CHECK(fs::is_symlink(dir.path / "sshd") == linked);
  const bool whole = linked;  // a link and nothing else: the gate is as it should be
  CHECK(jit::gate_problems(dir.path, "sshd", GateMode::observe).empty() == whole);

  REQUIRE(jit::remove_gate(dir.path, "sshd"));
  CHECK(count(dir.text(where), "# jit-gate") == 0);
  CHECK(fs::is_symlink(dir.path / "sshd") == linked);
}

TEST_CASE("a change of mode touches the value of mode= in our lines and nothing else", "[gates]") {
  const std::string other = "account required pam_jit.so mode=enforce\n# mode=enforce # jit-gate\n";
  CHECK(jit::with_mode(other, GateMode::observe) == other);
  CHECK(jit::with_mode("account required pam_jit.so x_mode=a [mode=enforce] \\\n\tmode=enforce# jit-gate\n" + other,
                       GateMode::observe) ==
        "account required pam_jit.so x_mode=a [mode=observe] \\\n\tmode=observe# jit-gate\n" + other);
}

TEST_CASE("a link to itself hides no other line", "[gates]") {
  const Directory dir;
  REQUIRE(jit::set_gate(dir.path, "sudo", GateMode::enforce, {}));
  fs::create_symlink("aaa", dir.path / "aaa");
  const auto found = jit::find_lines(dir.path);
  REQUIRE(found);
  CHECK(found->size() == 4);
}

TEST_CASE("an account is exempt, or no longer, and nothing else of our lines changes", "[gates]") {
  CHECK(jit::exempt_list("root,@rescue", "jit", true) == "root,@rescue,jit");
  CHECK(jit::exempt_list("root,jit,@rescue", "jit", true) == "root,@rescue,jit");
  CHECK(jit::exempt_list("root,jit,@rescue", "jit", false) == "root,@rescue");
  CHECK(jit::exempt_list("jit", "jit", false) == "jit");  // nobody left would be nobody who gets in
  CHECK(jit::exempt_list("", "jit", true) == "jit");
  CHECK(jit::exempt_list("", "jit", false).empty());
  const std::string ours =
      "account required pam_jit.so services=sshd mode=enforce exempt=root timeout=500 # jit-gate\n";
  CHECK(jit::with_exempt(ours, "jit", true) ==
        "account required pam_jit.so services=sshd mode=enforce exempt=root,jit timeout=500 # jit-gate\n");
  CHECK(jit::with_exempt(jit::with_exempt(ours, "jit", true), "jit", false) == ours);
  CHECK(jit::with_exempt("account required pam_jit.so services=sshd # jit-gate\n", "jit", true) ==
        "account required pam_jit.so exempt=jit services=sshd # jit-gate\n");
  const std::string others =
      "account required pam_other.so exempt=root\n# exempt=root pam_jit.so\n"
      "account required pam_jit.so services=sshd exempt=root\n";
  CHECK(jit::with_exempt(others, "jit", true) == others);
}
