// The proof against libpam itself: random stacks of pam_debug.so, whose every return value is scripted. A stack that
// is proven must refuse when our line (pam_debug.so under our name) refuses, whatever the other modules return.
#include <fmt/format.h>
#include <security/pam_appl.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "jitd/gates/stack.hpp"
#include "tests/unit/catch.hpp"

namespace fs = std::filesystem;

namespace {

fs::path find_pam_debug() {
  for (const char* root : {"/usr/lib", "/usr/lib64", "/lib", "/lib64"}) {
    std::error_code none;
    if (fs::exists(fs::path(root) / "security/pam_debug.so", none)) return fs::path(root) / "security/pam_debug.so";
    for (const auto& entry : fs::directory_iterator(root, none)) {
      if (fs::exists(entry.path() / "security/pam_debug.so", none)) return entry.path() / "security/pam_debug.so";
    }
  }
  return {};
}

int no_conversation(int count, const pam_message** /*messages*/, pam_response** responses, void* /*data*/) {
  *responses = static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  return *responses == nullptr ? PAM_BUF_ERR : PAM_SUCCESS;
}

class Host {
 public:
  explicit Host(const fs::path& pam_debug) {
    std::string name = (fs::temp_directory_path() / "jit-libpam-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    fs::copy(pam_debug, root / "pam_jit.so");
    fs::create_directory(root / "pam.d");
    put("other", "account required pam_deny.so\n");
  }
  ~Host() { fs::remove_all(root); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void put(const std::string& name, const std::string& text) const { std::ofstream(root / "pam.d" / name) << text; }

  [[nodiscard]] int account() const {
    const pam_conv conversation = {no_conversation, nullptr};
    pam_handle_t* handle = nullptr;
    REQUIRE(pam_start_confdir("svc", "nobody", &conversation, (root / "pam.d").c_str(), &handle) == PAM_SUCCESS);
    const int result = pam_acct_mgmt(handle, PAM_SILENT);
    (void)pam_end(handle, result);
    return result;
  }

  fs::path root;
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }
  template <std::size_t N>
  const char* one_of(const std::array<const char*, N>& choices) {
    return choices.at(below(N));
  }

  std::string rule(bool may_end) {
    static constexpr std::array kReturned = {"success",     "success", "user_unknown",
                                             "perm_denied", "ignore",  "new_authtok_reqd"};
    static constexpr std::array kKeywords = {"required", "requisite", "optional", "Optional", "sufficient"};
    static constexpr std::array kActions = {"ignore", "ok", "bad", "die", "reset", "1", "2", "3", "done", "1"};
    std::string control = kKeywords.at(below(may_end ? 5 : 4));
    if (below(3) == 0) {
      const auto action = [&] { return one_of(kActions); };
      control = fmt::format("[success={} new_authtok_reqd = {} default={}]", action(), action(), action());
    }
    return fmt::format("{} {} pam_debug.so acct={}", one_of(std::array{"account", "ACCOUNT", "account \\\n "}),
                       control, one_of(kReturned));
  }

  // A few rules, some of them in a file of their own.
  std::string rules(const Host& host, const std::string& prefix, std::size_t most) {
    std::string text;
    const std::size_t count = below(most + 1);
    for (std::size_t i = 0; i < count; ++i) {
      if (below(4) == 0) {
        const std::string file = fmt::format("{}-{}", prefix, i);
        host.put(file, "# a file of its own\n" + rule(true) + "\n\n" + rule(false) + " # more\n");
        text += fmt::format("account {} {}\n", one_of(std::array{"include", "substack", "SUBSTACK"}), file);
      } else {
        text += rule(false) + "\n";
      }
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("no stack that is proven lets anybody past our refusal in libpam", "[gates]") {
  const fs::path pam_debug = find_pam_debug();
  if (pam_debug.empty()) {
    WARN("pam_debug.so is not installed: not compared with libpam");
    return;
  }
  const Host host(pam_debug);
  Generator generator(20240107);
  unsigned proven = 0;
  unsigned let_in = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    const std::string before = generator.rules(host, "before", 4);
    const std::string ours = fmt::format(
        "account required {}/pam_jit.so services=svc mode=enforce acct=perm_denied\n", host.root.string());
    const std::string text = before + ours + generator.rules(host, "after", 3);
    host.put("svc", text);
    const auto config = jit::PamConfig::load((host.root / "pam.d").string(), "svc");
    REQUIRE(config);
    bool good = true;
    for (const auto& finding : prove_account(*config, "enforce")) good = good && !finding.fatal;
    const int result = host.account();
    if (good) ++proven;
    if (!good && result == PAM_SUCCESS) ++let_in;
    if (good && result == PAM_SUCCESS) FAIL("let in past a proven line:\n" << text);
  }
  // Both kinds were met often, so the comparison had something to find.
  CHECK(proven > 300);
  CHECK(let_in > 30);
}
