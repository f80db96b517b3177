// A host's side of the mailbox over ssh in a folder of its own: trust files, an outbox, an inbox, and people with
// keys.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "jitd/sync/mailbox_host.hpp"
#include "policy/document/kinds.hpp"
#include "policy/document/signature.hpp"
#include "tests/unit/catch.hpp"

namespace jit::mailboxtest {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override {
    // Time passes by being asked for, so that nothing waits for ever.
    time.boot_ms += step;
    time.wall_ms += static_cast<std::int64_t>(step);
    return time;
  }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return boot_id_; }
  mutable Instant time{1'795'332'600'000, 5'000'000};
  std::uint64_t step = 0;

 private:
  std::string boot_id_ = "boot";
};

inline std::string signed_text(const Document& document, const SigningKey& key, std::string_view name_space = "") {
  const std::string payload = to_payload(document);
  const auto blob =
      key.sign(payload, name_space.empty() ? kind_namespace(kind_of(document)) : std::string(name_space));
  REQUIRE(blob.has_value());
  return to_text(Envelope{payload, {*blob}});
}

class World {
 public:
  World() {
    char name[] = "/tmp/jit-mailbox-test.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
    for (const char* folder : {"trust", "outbox", "inbox", "run"}) {
      std::filesystem::create_directory(root + "/" + folder);
      REQUIRE(::chmod((root + "/" + folder).c_str(), 0755) == 0);
    }
    put("outbox/host", "host db1\nsegment pci-db\nkey " + fingerprint(host.public_key()) + "\n");
    trust("approvers", "carol@example.org " + public_key_line(carol.public_key()) + "\n");
    trust("requesters", "alice " + public_key_line(alice.public_key()) + "\n" + "bob namespaces=\"jit-ask\" " +
                            public_key_line(bob.public_key()) + "\n");
    places.trust.folder = root + "/trust";
    places.outbox = root + "/outbox";
    places.inbox = root + "/inbox";
    places.run = root + "/run";
  }
  ~World() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void put(const std::string& name, const std::string& text) const {
    std::ofstream(root + "/" + name, std::ios::binary) << text;
    REQUIRE(::chmod((root + "/" + name).c_str(), 0644) == 0);
  }
  void trust(const std::string& name, const std::string& text) const { put("trust/" + name, text); }
  // As jitd writes: whole, by rename.
  void say(const std::string& name, const std::string& text) const {
    put("outbox/." + name + ".tmp", text);
    std::filesystem::rename(root + "/outbox/." + name + ".tmp", root + "/outbox/" + name);
  }
  [[nodiscard]] std::vector<std::string> inbox() const {
    std::vector<std::string> texts;
    for (const auto& entry : std::filesystem::directory_iterator(places.inbox)) {
      std::ifstream in(entry.path(), std::ios::binary);
      std::stringstream text;
      text << in.rdbuf();
      texts.push_back(text.str());
    }
    return texts;
  }
  [[nodiscard]] Visitor visitor(const SigningKey& key) const {
    const auto found = visitor_of(read_trust_set(places.trust), key.public_key(), clock.now().wall());
    REQUIRE(found.has_value());
    return *found;
  }

  [[nodiscard]] std::string request_of(const std::string& user) const {
    Request request;
    request.host = "db1";
    request.host_key = fingerprint(host.public_key());
    request.user = user;
    request.uid = 1001;
    request.requesters = {{user, false}};
    request.role = "operator";
    request.duration = std::chrono::hours(1);
    request.reason = "vacuum stuck";
    request.created = clock.now().wall();
    request.expires = request.created + std::chrono::hours(1);
    request.origin = "local";
    request.effects = "group ops gid 115\n";
    request.policy = digest_text(sha256("policy"));
    request.nonce = make_nonce();
    return signed_text(request, host);
  }
  [[nodiscard]] std::string event_of(const std::string& user, const std::string& what = "active") const {
    EventDocument event;
    event.host = "db1";
    event.host_key = fingerprint(host.public_key());
    event.sequence = 17;
    event.created = clock.now().wall();
    event.entry = 1234;
    event.head = sha256("entry");
    event.policy = digest_text(sha256("policy"));
    event.machine = digest_text(sha256("machine"));
    event.what = what;
    event.user = user;
    event.nonce = make_nonce();
    return signed_text(event, host);
  }
  [[nodiscard]] std::string review_by(const SigningKey& key) const {
    Review review;
    review.host = "db1";
    review.request = sha256("request");
    review.approve = true;
    review.created = clock.now().wall();
    review.expires = review.created + std::chrono::hours(1);
    review.nonce = make_nonce();
    return signed_text(review, key);
  }
  [[nodiscard]] std::string ask_by(const SigningKey& key, const std::string& user) const {
    AskDocument ask;
    ask.hosts = {"db1"};
    ask.user = user;
    ask.role = "operator";
    ask.reason = "vacuum stuck";
    ask.created = clock.now().wall();
    ask.expires = ask.created + std::chrono::hours(1);
    ask.nonce = make_nonce();
    return signed_text(ask, key);
  }

  std::string root;
  MailboxPlaces places;
  ManualClock clock;
  SigningKey host = SigningKey::generate().value();
  SigningKey carol = SigningKey::generate().value();  // approves
  SigningKey alice = SigningKey::generate().value();  // ask
  SigningKey bob = SigningKey::generate().value();
  SigningKey mallory = SigningKey::generate().value();  // known to nobody
};

}  // namespace jit::mailboxtest
