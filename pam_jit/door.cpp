#include "pam_jit/door.hpp"

#include "jitd/wire/door.hpp"
#include "pam_jit/text.hpp"

namespace jit::pam {
namespace {

using wire::DoorAsk;
using wire::DoorSaid;
using wire::Status;

constexpr unsigned kListMs = 5'000;                      // name services are asked who it is
constexpr unsigned kWaitMs = wire::kDoorWaitMs + 2'000;  // jitd ends it by itself

std::string_view text_of(const char* array) noexcept {
  return {array, std::char_traits<char>::length(array)};
}

class Door {
 public:
  Door(Host& host, const wire::Query& query, const wire::Answer& shut, bool holds_texts) noexcept
      : host_(host), shut_(shut), holds_texts_(holds_texts) {
    ask_.service = query.service;
    ask_.subject = query.subject;
    ask_.has_uid = query.has_uid;
    ask_.uid = query.uid;
    ask_.rhost = query.rhost;
    ask_.gate = text_of(shut.gate);
  }

  bool run() noexcept {
    DoorSaid offer;
    if (!send() || !next(offer, kListMs) || !offer.last) return refused("jitd does not answer");
    host_.end_talk();
    if (offer.status != Status::done) return refused(text_of(offer.message));
    if (!ask_person(offer)) return false;
    if (!send()) return refused("jitd does not answer");
    const bool approved = wait();
    host_.end_talk();
    return approved;
  }

 private:
  bool send() noexcept {
    std::byte request[wire::kMaxCheckFrame];
    id_ = static_cast<std::uint32_t>(host_.clocks().boot_ms);
    const auto frame = wire::make_door_ask(request, id_, ask_);
    return !frame.empty() && host_.begin_talk(frame);
  }

  bool next(DoorSaid& said, unsigned timeout_ms) noexcept {
    std::byte reply[wire::kMaxCheckFrame];
    const Reply got = host_.hear(reply, timeout_ms);
    if (got.size == 0 || got.size > sizeof reply) return false;
    const auto frame = wire::Frame::parse(std::span(reply).first(got.size));
    const auto read = frame ? wire::read_door_said(*frame, id_) : std::nullopt;
    if (read) said = *read;
    return read.has_value();
  }

  // Role and reason, from who is there.
  bool ask_person(const DoorSaid& offer) noexcept {
    Text<2048> question;
    question.add_lines(shut_.message[0] != '\0' ? text_of(shut_.message) : "You hold no grant for this now.");
    question.add_lines("\n").add_lines(text_of(offer.message)).add_lines("\n");
    if (offer.role[0] != '\0') {
      question.add("Ask for ").add(text_of(offer.role)).add(". Why do you need it? (nothing: do not ask) ");
    } else {
      question.add("Which of them do you ask for? (nothing: none) ");
    }
    const std::string_view first =
        answer(question.c_str(), offer.role[0] != '\0' ? std::span<char>(reason_) : std::span<char>(role_));
    if (first.empty()) return refused("nothing was asked for");
    if (offer.role[0] != '\0') {
      wire::copy_text(role_, text_of(offer.role));
      ask_.reason = first;
    } else {
      ask_.reason = answer("Why do you need it? ", reason_);
      if (ask_.reason.empty()) return refused("a request needs a reason");
    }
    ask_.role = text_of(role_);
    return true;
  }

  // What was typed, without blanks around it; empty: nothing, nobody there, too long, or with control characters.
  std::string_view answer(const char* question, std::span<char> into) noexcept {
    const std::ptrdiff_t length = host_.prompt(question, into);
    if (length <= 0) return {};
    std::string_view text(into.data(), static_cast<std::size_t>(length));
    while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
    while (!text.empty() && text[text.size() - 1] == ' ') text.remove_suffix(1);
    for (const char c : text)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return {};
    // Back to the front, so that the array holds it and nothing else.
    for (std::size_t i = 0; i < text.size(); ++i) into[i] = text[i];
    into[text.size()] = '\0';
    return {into.data(), text.size()};
  }

  // Until jitd says that it is over, or the time is.
  bool wait() noexcept {
    const std::uint64_t until = host_.clocks().boot_ms + kWaitMs;
    bool filed = false;
    for (;;) {
      const std::uint64_t now = host_.clocks().boot_ms;
      DoorSaid said;
      if (now >= until || !next(said, static_cast<unsigned>(until - now)))
        return refused(filed ? "it is filed; jitd does not answer any more: see jitctl status"
                             : "jitd does not answer");
      if (!said.last) {
        if (!keep_informed(said, filed)) return refused("it is filed: come back when it is approved");
        filed = true;
        continue;
      }
      if (said.status == Status::done) return true;
      return refused(text_of(said.message));
    }
  }

  // Says whom it waits for. Where messages come with a prompt only, that has to be one.
  bool keep_informed(const DoorSaid& said, bool filed) noexcept {
    Text<1200> text;
    text.add("pam_jit: ").add(text_of(said.message)).add(".");
    if (holds_texts_ && !filed) {
      char ignored[64];
      text.add(" Enter waits here for up to a minute: ");
      return host_.prompt(text.c_str(), ignored) >= 0;
    }
    host_.inform(text.c_str());
    return true;
  }

  bool refused(std::string_view why) noexcept {
    host_.end_talk();
    host_.tell(Text<1200>().add("pam_jit: ").add(why).add(".").c_str());
    return false;
  }

  Host& host_;
  const wire::Answer& shut_;
  bool holds_texts_;
  std::uint32_t id_ = 0;
  DoorAsk ask_;
  char role_[wire::kMaxDoorRole + 1] = {};
  char reason_[wire::kMaxDoorReason + 1] = {};
};

}  // namespace

bool ask_at_door(Host& host, const wire::Query& query, const wire::Answer& shut, bool holds_texts) noexcept {
  return Door(host, query, shut, holds_texts).run();
}

}  // namespace jit::pam
