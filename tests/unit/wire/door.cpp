// The verb `ask`, to bytes and back.
#include "jitd/wire/door.hpp"

#include <functional>
#include <string>

#include "tests/unit/catch.hpp"

using namespace jit::wire;

namespace {

DoorAsk good() {
  DoorAsk ask;
  ask.service = "sshd";
  ask.subject = "alice";
  ask.gate = "login";
  return ask;
}

}  // namespace

TEST_CASE("a question at the door goes to bytes and back", "[wire][door]") {
  std::byte buffer[kMaxCheckFrame];
  DoorAsk ask = good();
  ask.has_uid = true;
  ask.uid = 1001;
  ask.rhost = "10.0.0.1";
  ask.role = "db-login";
  ask.reason = "vacuum stuck";
  const auto bytes = make_door_ask(buffer, 7, ask);
  REQUIRE_FALSE(bytes.empty());
  const auto back = read_door_ask(*Frame::parse(bytes));
  REQUIRE(back);
  CHECK(back->service == "sshd");
  CHECK(back->subject == "alice");
  CHECK(back->gate == "login");
  CHECK(back->has_uid);
  CHECK(back->uid == 1001);
  CHECK(back->rhost == "10.0.0.1");
  CHECK(back->role == "db-login");
  CHECK(back->reason == "vacuum stuck");
  CHECK(read_door_ask(*Frame::parse(make_door_ask(buffer, 7, good())))->role.empty());
}

TEST_CASE("half a question, or one that is too long, is none", "[wire][door]") {
  std::byte buffer[kMaxCheckFrame];
  const auto none = [&](const DoorAsk& ask) { CHECK(make_door_ask(buffer, 7, ask).empty()); };
  const std::string long_text(1000, 'x');
  for (auto field : {&DoorAsk::service, &DoorAsk::subject, &DoorAsk::gate}) {
    DoorAsk ask = good();
    ask.*field = "";
    none(ask);
    ask.*field = long_text;
    none(ask);
  }
  DoorAsk ask = good();
  ask.role = "r";
  none(ask);  // without a reason
  ask.reason = std::string_view(long_text).substr(0, kMaxDoorReason + 1);
  none(ask);
  ask.reason = "why";
  ask.role = std::string_view(long_text).substr(0, kMaxDoorRole + 1);
  none(ask);

  const auto refused = [&](const std::function<void(Writer&)>& fill) {
    Writer frame(buffer, Verb::ask, 7);
    fill(frame);
    CHECK_FALSE(read_door_ask(*Frame::parse(frame.finish())));
  };
  refused([](Writer& frame) { frame.text(Tag::service, "sshd").text(Tag::subject, "alice"); });
  refused([](Writer& frame) {
    frame.text(Tag::service, "sshd").text(Tag::subject, std::string_view("al\0ice", 6)).text(Tag::gate, "login");
  });
  refused([](Writer& frame) {
    frame.text(Tag::service, "sshd").text(Tag::subject, "alice").text(Tag::gate, "login").text(Tag::reason, "x");
  });
  refused([](Writer& frame) {
    frame.text(Tag::service, "su").text(Tag::subject, "alice").text(Tag::gate, "su");
    frame.number(Tag::subject_uid, UINT32_MAX);
  });
  Writer other(buffer, Verb::check, 7);
  other.text(Tag::service, "sshd").text(Tag::subject, "alice").text(Tag::gate, "login");
  CHECK_FALSE(read_door_ask(*Frame::parse(other.finish())));
}

TEST_CASE("what jitd says at the door goes to bytes and back", "[wire][door]") {
  std::byte buffer[kMaxCheckFrame];
  DoorSaid said;
  copy_text(said.message, "waits for leads");
  copy_text(said.id, "0123456789abcdef");
  copy_text(said.role, "db-login");
  for (const bool last : {false, true}) {
    said.last = last;
    said.status = Status::refused;
    const auto back = read_door_said(*Frame::parse(make_door_said(buffer, 7, said)), 7);
    REQUIRE(back);
    CHECK(back->last == last);
    if (last) CHECK(back->status == Status::refused);
    CHECK(std::string(back->message) == "waits for leads");
    CHECK(std::string(back->id) == "0123456789abcdef");
    CHECK(std::string(back->role) == "db-login");
  }
  const auto refused = [&](Verb verb, const std::function<void(Writer&)>& fill, std::uint32_t id = 7) {
    Writer frame(buffer, verb, id);
    fill(frame);
    CHECK_FALSE(read_door_said(*Frame::parse(frame.finish()), 7));
  };
  refused(Verb::result, [](Writer&) {});  // no status
  refused(Verb::result, [](Writer& frame) { frame.number(Tag::status, 6); });
  refused(
      Verb::result, [](Writer& frame) { frame.number(Tag::status, 0); }, 8);
  refused(Verb::check, [](Writer& frame) { frame.number(Tag::status, 0); });
  refused(Verb::item, [](Writer& frame) { frame.text(Tag::id, "0123456789abcdef0"); });
  refused(Verb::item, [](Writer& frame) { frame.text(Tag::message, std::string(1024, 'x')); });
}
