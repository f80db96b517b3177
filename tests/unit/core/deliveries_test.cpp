// What the owners delivered, on a host's disk: read with the local files, replaced at one instant, worth what the
// owners of now have signed.
#include <algorithm>

#include "jitd/core/deliveries.hpp"
#include "policy/document/envelope.hpp"
#include "tests/unit/core/host_dir.hpp"
#include "tests/unit/sys/support.hpp"

using namespace jit;
using test::HostDir;

namespace {

const std::string kPolicy = "[roles.r]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n";

SigningKey& key(const std::string& name) {
  static std::map<std::string, SigningKey> keys;
  auto found = keys.find(name);
  if (found == keys.end()) {
    auto made = SigningKey::generate();
    REQUIRE(made.has_value());
    found = keys.emplace(name, std::move(*made)).first;
  }
  return found->second;
}

std::string line_of(const std::string& name) {
  return name + " " + public_key_line(key(name).public_key());
}

std::string sign(const Document& document, const std::vector<std::string>& names) {
  Envelope envelope{to_payload(document), {}};
  for (const std::string& name : names) {
    const auto signature = key(name).sign(envelope.payload, kind_namespace(kind_of(document)));
    REQUIRE(signature.has_value());
    envelope.signatures.push_back(*signature);
  }
  return to_text(envelope);
}

template <class Kind>
Kind delivery(std::uint64_t number, const std::vector<Delivery::File>& files, std::uint64_t part = 1,
              std::uint64_t parts = 1) {
  Kind document;
  document.hosts = {"db1"};
  document.number = number;
  document.part = part;
  document.parts = parts;
  document.created = WallTime(Seconds(1'800'000'000));
  document.reason = "why";
  document.files = files;
  document.nonce = make_nonce();
  return document;
}

std::string role(const std::string& name) {
  return "[roles." + name + "]\neligible = [\"alice\"]\nmax_duration = \"1h\"\n";
}

struct Host : HostDir {
  Host() {
    own({"olga", "otto"}, 1);
    write("/etc/jit/policy.d/20-r.toml", kPolicy);
    write("/etc/jit/trust/approvers", line_of("carol") + "\n");
  }
  void own(const std::vector<std::string>& owners, unsigned count) const {
    std::string text = "host = \"db1\"\n";
    if (!owners.empty()) {
      text += "[owners]\ncount = " + std::to_string(count) + "\nkeys = [\n";
      for (const std::string& owner : owners) text += "  \"" + line_of(owner) + "\",\n";
      text += "]\n";
    }
    write("/etc/jit/jitd.toml", text);
  }
  [[nodiscard]] std::shared_ptr<const HostView> load(const HostView* before = nullptr) const {
    static std::shared_ptr<SigningKey> own_key;  // outlives the views
    auto made = host_key(paths);
    REQUIRE(made.has_value());
    own_key = *made;
    auto view = load_host(paths, own_key, before);
    if (!view) FAIL(view.error().message);
    return *view;
  }
  [[nodiscard]] Result<void> take(Kind kind, const std::vector<std::string>& documents,
                                  Files& files = system_files()) const {
    return take_over(files, paths, load()->config, kind, documents);
  }
  [[nodiscard]] bool has(const std::string& name) const { return load()->policy.role(name) != nullptr; }
};

bool warned(const HostView& view, const std::string& part) {
  return std::any_of(view.warnings.begin(), view.warnings.end(),
                     [&](const std::string& warning) { return warning.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a delivered policy is read with the local files as one, in name order", "[core][host][delivery]") {
  const Host host;
  CHECK(host.load()->config.owners.keys.lines.size() == 2);
  const auto first =
      sign(delivery<PolicyDocument>(4, {{"10-web.toml", role("web")}, {"30-mail.toml", role("mail")}}), {"olga"});
  REQUIRE(host.take(Kind::policy, {first}).has_value());
  CHECK(host.mode("/var/delivered") == 0700);
  CHECK(host.mode("/var/delivered/policy") == 0600);
  const auto view = host.load();
  CHECK_FALSE(view->last_good);
  for (const char* name : {"r", "web", "mail"}) CHECK(view->policy.role(name) != nullptr);
  CHECK(view->policy.role("web")->place.file == "delivered policy 4/10-web.toml");
  REQUIRE(view->delivered_policy.counts);
  CHECK(view->delivered_policy.counts->number == 4);
  CHECK(view->delivered_policy.counts->owners == std::vector<std::string>{"olga"});
  CHECK(view->warnings.empty() == false);  // roles without rules

  SECTION("the next one replaces it whole") {
    REQUIRE(host.take(Kind::policy, {sign(delivery<PolicyDocument>(5, {{"10-web.toml", role("web")}}), {"otto"})}));
    CHECK(host.has("web"));
    CHECK_FALSE(host.has("mail"));
  }
  SECTION("one that does not load with the local files changes nothing") {
    const auto bad = sign(delivery<PolicyDocument>(5, {{"10-web.toml", role("r")}}), {"olga"});
    const auto taken = host.take(Kind::policy, {bad});
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().code == Errc::refused);
    CHECK(taken.error().message ==
          "it does not load together with the policy of this host: " + host.root +
              "/etc/jit/policy.d/20-r.toml:1: roles.r: is defined already at delivered policy "
              "5/10-web.toml:1; keep one of them");
    CHECK(host.has("mail"));
  }
  SECTION("it is kept as the last good one, too") {
    host.write("/etc/jit/policy.d/20-r.toml", "x\n");
    const auto later = host.load();
    CHECK(later->last_good);
    CHECK(later->policy.role("web")->place.file == "delivered policy 4/10-web.toml");
    CHECK(later->policy.role("r") != nullptr);
  }
  SECTION("without [owners] it counts for nothing, and says so") {
    host.own({}, 0);
    const auto later = host.load();
    CHECK(later->policy.role("web") == nullptr);
    CHECK(warned(*later, "counts for nothing: jitd.toml names no [owners]"));
    CHECK(later->delivered_policy.number == 4);  // no lower one is ever taken over
    host.own({"olga"}, 1);
    CHECK(host.has("web"));
  }
  SECTION("nor does it without its owner, or where more have to sign") {
    host.own({"otto"}, 1);
    CHECK_FALSE(host.has("web"));
    host.own({"olga", "otto"}, 2);
    CHECK_FALSE(host.has("web"));
    CHECK(warned(*host.load(), "policy 4 is signed by olga, and [owners]"));
  }
  SECTION("root drops it by removing the file") {
    std::filesystem::remove(host.root + "/var/delivered/policy");
    CHECK_FALSE(host.has("web"));
  }
  SECTION("a damaged one leaves the last good policy in force") {
    const std::string text = host.read("/var/delivered/policy");
    for (const std::string& damaged :
         {text.substr(0, text.size() / 2), std::string("garbage"), std::string(), text + "x"}) {
      host.write("/var/delivered/policy", damaged, 0600);
      const auto later = host.load();
      CHECK(later->last_good);
      CHECK(later->policy.role("web") != nullptr);
      CHECK(later->policy_error.find(host.root + "/var/delivered/policy: ") == 0);
    }
  }
  SECTION("one byte changed is signed by nobody") {
    std::string text = host.read("/var/delivered/policy");
    text.replace(text.find("alice"), 5, "mallo");
    host.write("/var/delivered/policy", text, 0600);
    CHECK_FALSE(host.has("web"));
    CHECK(warned(*host.load(), "counts for nothing"));
  }
  SECTION("so is one that others may write") {
    REQUIRE(::chmod((host.root + "/var/delivered/policy").c_str(), 0666) == 0);
    CHECK(host.load()->last_good);
  }
}

TEST_CASE("a file too large for one document goes on in the next", "[core][host][delivery]") {
  const Host host;
  const std::string text = role("web") + "description = \"Web\"\n";
  const auto a = sign(delivery<PolicyDocument>(1, {{"10-web.toml", text.substr(0, 14)}}, 1, 2), {"olga"});
  const auto b = sign(delivery<PolicyDocument>(1, {{"10-web.toml", text.substr(14)}}, 2, 2), {"otto"});
  REQUIRE(host.take(Kind::policy, {b, a}).has_value());  // in whatever order
  CHECK(host.load()->policy.role("web")->description == "Web");
  CHECK(host.load()->delivered_policy.counts->owners == std::vector<std::string>{"olga", "otto"});
  const auto refused = [&](const std::vector<std::string>& documents) {
    const auto taken = host.take(Kind::policy, documents);
    return taken ? "taken" : taken.error().message;
  };
  CHECK(refused({a}) == "these are not the parts of one delivery");
  CHECK(refused({a, a}) == "part 1 stands there twice");
  const auto other = sign(delivery<PolicyDocument>(2, {{"10-web.toml", text.substr(14)}}, 2, 2), {"otto"});
  CHECK(refused({a, other}) == "these are not the parts of one delivery");
  const auto trust = sign(delivery<TrustDocument>(1, {{"approvers", ""}}), {"olga"});
  CHECK(refused({trust}) == "a part is no policy");
}

TEST_CASE("delivered trust stands beside the local lines", "[core][host][delivery]") {
  const Host host;
  const auto trust = sign(delivery<TrustDocument>(1, {{"approvers", line_of("dave") + "\nerin,frank x\n"},
                                                      {"requesters", line_of("alice") + "\n"}}),
                          {"olga"});
  REQUIRE(host.take(Kind::trust, {trust}).has_value());
  const auto view = host.load();
  REQUIRE(view->trust.approvers.lines.size() == 2);
  CHECK(view->trust.approvers.lines[0].principal == "carol");
  CHECK(view->trust.approvers.lines[1].principal == "dave");
  CHECK(warned(*view, "delivered trust 1/approvers:2: "));
  REQUIRE(view->trust.requesters.lines.size() == 1);
  CHECK(view->trust.requesters.lines[0].principal == "alice");
  CHECK(view->trust.for_kind(Kind::review)->lines.size() == 2);

  SECTION("nobody has to be trusted locally") {
    host.write("/etc/jit/trust/approvers", "");
    CHECK_FALSE(warned(*host.load(), std::string(kNobodyApproves)));
    CHECK(host.load()->trust.approvers.lines.size() == 1);
  }
  SECTION("trust has no last good") {
    host.write("/var/delivered/trust", "garbage", 0600);
    CHECK(host.load(view.get())->trust.approvers.lines.size() == 1);
    CHECK(warned(*host.load(), "/var/delivered/trust: "));
  }
  SECTION("a key that stands under two persons counts for nobody, wherever it stands") {
    const auto second =
        sign(delivery<TrustDocument>(2, {{"approvers", "dave " + public_key_line(key("carol").public_key()) + "\n"}}),
             {"olga"});
    REQUIRE(host.take(Kind::trust, {second}).has_value());
    CHECK(warned(*host.load(), "delivered trust 2/approvers:1: the key " + fingerprint(key("carol").public_key()) +
                                   " stands under two persons"));
  }
}

TEST_CASE("P4: whichever call fails, what was delivered is the old or the new", "[core][host][delivery]") {
  const Host host;
  const auto first = sign(delivery<PolicyDocument>(1, {{"10-web.toml", role("web")}}), {"olga"});
  const auto second = sign(delivery<PolicyDocument>(2, {{"10-mail.toml", role("mail")}}), {"olga"});
  for (const bool from_then : {false, true}) {
    int calls = 0;
    for (int call = 0;; ++call) {
      std::filesystem::remove_all(host.root + "/var/delivered");
      REQUIRE(host.take(Kind::policy, {first}).has_value());
      hosttest::FailingFiles files;
      files.fail_at = call;
      files.from_then = from_then;  // as if it were killed there
      const auto taken = host.take(Kind::policy, {second}, files);
      INFO("call " << call);
      CHECK(host.has("web") != host.has("mail"));
      if (taken) CHECK(host.has("mail"));
      if (files.calls <= call) break;
      ++calls;
    }
    CHECK(calls > 5);
  }
}
