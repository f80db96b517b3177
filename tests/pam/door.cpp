// `request` in a real libpam: the conversation's prompts reach the application, and its answers jitd.
#include "jitd/wire/door.hpp"

#include <unistd.h>

#include "tests/pam/fixture.hpp"
#include "tests/unit/catch.hpp"

using namespace jit::pam::test;
using jit::wire::Frame;
using jit::wire::Verdict;

namespace {

constexpr const char* kRequest = "services=sshd mode=enforce request timeout=300";

// A jitd that refuses until the request is filed, and then says `then`.
struct Jitd {
  bool filed = false;
  std::string role, reason;
  jit::wire::Status then = jit::wire::Status::done;
  Daemon::Script script() {
    return [this](const std::string& request) -> std::optional<std::string> {
      const auto frame = Frame::parse(std::as_bytes(std::span(request)));
      const auto ask = frame ? jit::wire::read_door_ask(*frame) : std::nullopt;
      if (!ask) return says(filed && then == jit::wire::Status::done ? Verdict::allow : Verdict::deny)(request);
      jit::wire::DoorSaid said;
      said.last = true;
      said.status = jit::wire::Status::done;
      jit::wire::copy_text(said.message, "You may ask for: db-login, operator.");
      if (!ask->role.empty()) {
        filed = true;
        role = ask->role;
        reason = ask->reason;
        said.status = then;
        jit::wire::copy_text(said.message, "0123456789abcdef is filed: come back");
      }
      std::byte buffer[jit::wire::kMaxCheckFrame];
      const auto bytes = jit::wire::make_door_said(buffer, frame->id(), said);
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
  }
};

}  // namespace

TEST_CASE("who is refused is asked in the conversation, and let in by the check after it", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, kRequest);
  Jitd state;
  const Daemon jitd(state.script());
  Transaction pam(place, "sshd", {.typed = {"operator", "vacuum stuck"}});
  CHECK(pam.account() == PAM_SUCCESS);
  CHECK(state.role == "operator");
  CHECK(state.reason == "vacuum stuck");
  REQUIRE(pam.prompted().size() == 2);
  CHECK(pam.prompted()[0].find("db-login, operator") != std::string::npos);
}

TEST_CASE("filed and not approved is a refusal that says to come back", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, kRequest);
  Jitd state;
  state.then = jit::wire::Status::pending;
  const Daemon jitd(state.script());
  Transaction pam(place, "sshd", {.typed = {"operator", "vacuum stuck"}});
  CHECK(pam.account() == PAM_PERM_DENIED);
  REQUIRE(pam.told().size() == 1);
  CHECK(pam.told()[0].find("come back") != std::string::npos);
}

TEST_CASE("without a conversation, or with one that breaks off, nothing is filed", "[pam]") {
  const Place place;
  place.service("sshd", PAM_JIT_TEST, kRequest);
  Jitd state;
  const Daemon jitd(state.script());
  const std::string control = "a\x1b[2J";
  const int before = open_descriptors();
  for (const std::deque<std::string>& typed :
       std::vector<std::deque<std::string>>{{}, {"operator"}, {"operator", control}, {std::string(5000, 'x')}}) {
    Transaction pam(place, "sshd", {.typed = typed});
    CHECK(pam.account() == PAM_PERM_DENIED);
    CHECK_FALSE(state.filed);
    // The other end of what was asked before is closed by a thread of its own, a moment later.
    for (int i = 0; i < 1000 && open_descriptors() != before; ++i) ::usleep(1000);
    CHECK(open_descriptors() == before);
  }
}
