// Stacks of real distributions and of every way that is known to lead around an account line.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "jitd/gates/lines.hpp"
#include "jitd/gates/stack.hpp"
#include "tests/unit/catch.hpp"

namespace fs = std::filesystem;
using jit::GateMode;
using jit::PamConfig;
using jit::PamType;

namespace {

using FileTexts = std::map<std::string, std::string>;

const fs::path kStacks = fs::path(JIT_SOURCE_DIR) / "tests/unit/gates/stacks";

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

FileTexts folder(const fs::path& path, FileTexts under = {}) {
  for (const auto& entry : fs::directory_iterator(path)) under[entry.path().filename()] = text_of(entry.path());
  return under;
}

// The files of a case over those of the distribution that its name starts with.
FileTexts case_files(const fs::path& path) {
  return folder(path, folder(kStacks / (path.filename().string().starts_with("rhel") ? "rhel-9" : "debian-12")));
}

std::vector<std::string> fatal(const std::vector<jit::StackFinding>& findings) {
  std::vector<std::string> texts;
  for (const auto& finding : findings) {
    if (finding.fatal) texts.push_back(finding.text);
  }
  return texts;
}

std::vector<fs::path> cases(const char* kind) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(kStacks / kind)) paths.push_back(entry.path());
  REQUIRE(paths.size() > 5);
  return paths;
}

}  // namespace

TEST_CASE("on every distribution our lines are proven where gate writes them", "[gates]") {
  for (const char* system : {"debian-12", "debian-12-sssd", "debian-13", "ubuntu-24.04", "rhel-9"}) {
    for (const char* service : {"sshd", "sudo", "su", "login"}) {
      INFO(system << " " << service);
      FileTexts files = folder(kStacks / system);
      std::vector<std::string> services = {service};
      if (std::string(service) == "su") services.emplace_back("su-l");
      if (std::string(service) == "sudo" && std::string(system) == "rhel-9") services.emplace_back("sudo-i");
      const auto without = PamConfig::parse(files, service);
      REQUIRE(without);
      CHECK(fatal(prove_account(*without, "")).size() == 1);
      CHECK(fatal(prove_session(*without, "")).size() == 1);

      const std::string before = files[service];
      const auto with = jit::with_lines(before, GateMode::enforce, services, {});
      REQUIRE(with);
      files[service] = *with;
      for (const std::string& reached : services) {
        const auto config = PamConfig::parse(files, reached);
        REQUIRE(config);
        CHECK(prove_account(*config, "enforce").empty());
        CHECK(prove_session(*config, "enforce").empty());
        CHECK(config->stack(PamType::account).front().line.ours);
        CHECK(config->stack(PamType::session).back().line.ours);
        CHECK(fatal(prove_account(*config, "observe")).size() == 1);
      }
      CHECK(jit::without_lines(*with) == before);
    }
  }
}

TEST_CASE("stacks that lead around the account line are found out, by file and line", "[gates]") {
  for (const fs::path& path : cases("bad")) {
    INFO(path.filename().string());
    FileTexts files = case_files(path);
    std::string expected = files["EXPECT"];
    REQUIRE(expected.size() > 5);
    expected.pop_back();
    INFO("expected: " << expected);
    const auto config = PamConfig::parse(files, "sshd");
    if (!config) {
      INFO("got: " << config.error().message);
      CHECK(config.error().message.find(expected) != std::string::npos);
      CHECK(config.error().message.find("/etc/pam.d/") == 0);
      continue;
    }
    const auto texts = fatal(prove_account(*config, "enforce"));
    std::string all;
    for (const auto& text : texts) all += text + "\n";
    INFO("got: " << all);
    CHECK(all.find(expected) != std::string::npos);
    CHECK(all.find("/etc/pam.d/") == 0);
  }
}

TEST_CASE("stacks that only look dangerous are proven", "[gates]") {
  for (const fs::path& path : cases("good")) {
    INFO(path.filename().string());
    const auto config = PamConfig::parse(case_files(path), "sshd");
    REQUIRE(config);
    const auto texts = fatal(prove_account(*config, "enforce"));
    INFO((texts.empty() ? std::string() : texts.front()));
    CHECK(texts.empty());
  }
}

TEST_CASE("the session line stands behind pam_systemd", "[gates]") {
  FileTexts files = folder(kStacks / "debian-12");
  const std::string line = "session required pam_jit.so services=sshd mode=observe # jit-gate\n";
  files["sshd"] = line + files["sshd"];
  const auto first = PamConfig::parse(files, "sshd");
  REQUIRE(first);
  const auto texts = fatal(prove_session(*first, "observe"));
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].find("/etc/pam.d/common-session:") == 0);
  CHECK(texts[0].find("pam_systemd") != std::string::npos);
}

TEST_CASE("a service without a file has the stack of other", "[gates]") {
  const FileTexts files = folder(kStacks / "debian-12");
  const auto config = PamConfig::parse(files, "xdm");
  REQUIRE(config);
  CHECK(config->from_other(PamType::account));
  CHECK(config->stack(PamType::account).size() == 3);
  CHECK_FALSE(PamConfig::parse({}, "xdm"));
  CHECK_FALSE(PamConfig::parse(files, "../shadow"));
}
