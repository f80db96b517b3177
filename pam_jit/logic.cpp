#include "pam_jit/logic.hpp"

#include <security/_pam_types.h>

#include <algorithm>
#include <optional>

#include "jitd/wire/check.hpp"
#include "pam_jit/accounts.hpp"
#include "pam_jit/door.hpp"
#include "pam_jit/text.hpp"

namespace jit::pam {
namespace {

using wire::Answer;
using wire::Phase;
using wire::Verdict;

constexpr std::string_view kNobodyAnswers =
    "jitd does not answer and left nothing to decide from. Only exempt accounts get in until an administrator "
    "restarts it "
    "(systemctl restart jitd)";

constexpr unsigned kSessionTimeoutMs = 2000;

// Whom a service's question is about.
enum class Subject { caller, comer };
// Whether, and how, the service can put questions: on its terminal, or with messages held back until the next one.
enum class Door { none, terminal, holds_texts };

struct Service {
  std::string_view name;
  Subject subject;
  bool root_is_asked;  // su from uid 0 changes nothing that root could not do
  // Who proved before the account phase who they are may ask for a grant there. In sudo it would come too late: its
  // rules are read by then.
  Door door;
};

constexpr Service kServices[] = {
    {"sudo", Subject::caller, true, Door::none},       {"sudo-i", Subject::caller, true, Door::none},
    {"su", Subject::caller, false, Door::terminal},    {"su-l", Subject::caller, false, Door::terminal},
    {"sshd", Subject::comer, true, Door::holds_texts}, {"login", Subject::comer, true, Door::terminal},
};

const Service* find_service(std::string_view name) noexcept {
  for (const Service& service : kServices)
    if (service.name == name) return &service;
  return nullptr;
}

std::string_view item(Host& host, Item which) noexcept {
  const char* text = host.item(which);
  return text != nullptr ? std::string_view(text) : std::string_view();
}

bool printable_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > wire::kMaxSubject) return false;
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

// One call of the module: what is asked, and of whom.
class Call {
 public:
  Call(Host& host, const Options& options, Phase phase, bool silent) noexcept
      : host_(host), options_(options), silent_(silent) {
    query_.phase = phase;
    query_.line_enforces = options.enforce;
  }

  // What is to be returned without asking anybody; nullopt: ask.
  std::optional<int> prepare() noexcept;
  [[nodiscard]] Answer ask_jitd(unsigned timeout_ms) noexcept;
  [[nodiscard]] Answer read_board() noexcept;
  void post() noexcept;
  void tell_of_silence() noexcept;
  // Whether whom this answer refuses is to be asked at the door; and asking. True: check again.
  [[nodiscard]] bool may_ask(const Answer& answer) noexcept;
  [[nodiscard]] bool asked(const Answer& answer) noexcept;
  // The code of a refusal of which the user knows by now.
  [[nodiscard]] int refused_at_door(const Answer& answer) noexcept;
  // jitd does not answer, so nobody would end what begins: refused, whatever mode the line has.
  [[nodiscard]] int nobody_ends_it() noexcept;
  // jitd does not answer, and the board says that a grant lets this login in: it is noted for whoever ends the grant.
  [[nodiscard]] int let_in_by(const Answer& board) noexcept;
  [[nodiscard]] bool runs_command() const noexcept { return query_.has_uid; }
  // The return code of an answer, told and logged.
  [[nodiscard]] int settle(const Answer& answer) noexcept;

 private:
  [[nodiscard]] int refused(int in_account) const noexcept {
    return query_.phase == Phase::account ? in_account : PAM_SYSTEM_ERR;
  }
  [[nodiscard]] int cannot_say(std::string_view why) noexcept;
  std::optional<int> take_subject(const Service& service) noexcept;
  void say(const char* text) noexcept;
  void log(Level level, std::string_view what, std::string_view gate, std::string_view why) noexcept;

  Host& host_;
  const Options& options_;
  bool silent_;
  wire::Query query_;
};

void Call::log(Level level, std::string_view what, std::string_view gate, std::string_view why) noexcept {
  Text<1024> line;
  line.add(what).add(": service ").add(query_.service.empty() ? "?" : query_.service);
  line.add(", user ").add(query_.subject.empty() ? "?" : query_.subject);
  if (!gate.empty()) line.add(", gate ").add(gate);
  if (!why.empty()) line.add(": ").add(why);
  host_.log(level, line.c_str());
}

// Nobody can say whether there is a grant. An enforcing line refuses then, an observing one never does.
int Call::cannot_say(std::string_view why) noexcept {
  log(Level::error, options_.enforce ? "refused" : "let in unchecked (mode=observe)", {}, why);
  if (!options_.enforce) return PAM_IGNORE;
  if (!silent_)
    host_.tell(
        Text<512>().add("pam_jit: it cannot be found out whether you hold a grant: ").add(why).add(".").c_str());
  return refused(PAM_AUTHINFO_UNAVAIL);
}

std::optional<int> Call::prepare() noexcept {
  query_.service = item(host_, Item::service);
  const Service* service = find_service(query_.service);
  const bool ours = options_.has_services ? options_.lists_service(query_.service) : service != nullptr;
  if (!ours && !query_.service.empty()) return PAM_IGNORE;
  if (options_.mistake != nullptr) {
    log(Level::error, "an argument of pam_jit.so is not understood", {}, options_.mistake);
  }
  if (query_.service.empty()) return cannot_say("the application names no service");
  if (wire::is_sudo(query_.service)) silent_ = silent_ && query_.phase == Phase::close;
  if (service == nullptr) return cannot_say("pam_jit knows no subject for this service: take it out of services=");
  return take_subject(*service);
}

std::optional<int> Call::take_subject(const Service& service) noexcept {
  const bool caller = service.subject == Subject::caller;
  std::uint32_t real_uid = caller ? host_.real_uid() : UINT32_MAX;
  if (real_uid == 0 && !service.root_is_asked) return PAM_IGNORE;

  query_.subject = item(host_, caller ? Item::ruser : Item::user);
  if (!printable_name(query_.subject))
    return cannot_say("the application names no user, or one with an impossible name");
  if (caller || options_.has_exempt) {
    const LocalAccount account = local_account(host_, query_.subject, real_uid);
    if (caller) {
      if (!account.readable) return cannot_say("/etc/passwd cannot be read, to compare the user with who calls");
      // sudo -e is root by and by when it opens its session: the account phase has compared them.
      if (real_uid == 0 && query_.phase != Phase::account && wire::is_sudo(query_.service) && account.found)
        real_uid = account.uid;
      const bool another = account.found ? account.uid != real_uid : account.uid_is_anothers;
      if (another) return cannot_say("the user is not the one who calls, by uid");
    }
    if (exempt(host_, options_, query_.subject, account)) return PAM_IGNORE;
  }
  if (caller) {
    query_.has_uid = true;
    query_.uid = real_uid;
    query_.target = item(host_, Item::user);
    // What sudo matched its rules with is as old as the process.
    if (wire::is_sudo(query_.service) && query_.phase != Phase::close) query_.started_ms = host_.started_ms();
  }
  query_.tty = item(host_, Item::tty);
  query_.rhost = item(host_, Item::rhost);
  return std::nullopt;
}

// Verdict::unknown when there is no answer.
Answer Call::ask_jitd(unsigned timeout_ms) noexcept {
  std::byte request[wire::kMaxCheckFrame];
  std::byte reply[wire::kMaxCheckFrame];
  // One question a connection: the id only tells this reply from a stray one.
  const auto id = static_cast<std::uint32_t>(host_.clocks().boot_ms);
  const auto frame = wire::make_query(request, id, query_);
  const Reply got = frame.empty() ? Reply{0, "the question does not fit"} : host_.ask(frame, reply, timeout_ms);
  const char* failure = got.failure;
  if (got.size > 0 && got.size <= sizeof reply) {
    if (const auto parsed = wire::Frame::parse(std::span(reply).first(got.size))) {
      if (const auto answer = wire::read_answer(*parsed, id); answer && answer->verdict != Verdict::unknown)
        return *answer;
    }
    failure = "jitd gave no answer that can be understood";
  }
  log(Level::warning, "answered from the board", {}, failure != nullptr ? failure : "jitd gave no answer");
  return {};
}

Answer Call::read_board() noexcept {
  const wire::BoardSource* source = host_.board();
  if (source == nullptr) return {};
  // Without the boot id nobody knows whose boot the board is of.
  const std::string_view boot_id = host_.boot_id();
  if (boot_id.empty()) return {};
  const auto board = wire::BoardView::open(*source, boot_id);
  return board ? wire::answer(*board, query_, host_.clocks()) : Answer{};
}

void Call::post() noexcept {
  std::byte request[wire::kMaxCheckFrame];
  const auto frame = wire::make_query(request, static_cast<std::uint32_t>(host_.clocks().boot_ms), query_);
  if (!frame.empty()) host_.post(frame);
}

bool Call::may_ask(const Answer& answer) noexcept {
  const Service* service = find_service(query_.service);
  if (!options_.request || !options_.enforce || silent_ || service == nullptr || service->door == Door::none)
    return false;
  if (answer.verdict != Verdict::deny || answer.gate[0] == '\0') return false;
  return service->door == Door::holds_texts || host_.terminal();
}

bool Call::asked(const Answer& answer) noexcept {
  return ask_at_door(host_, query_, answer, find_service(query_.service)->door == Door::holds_texts);
}

int Call::refused_at_door(const Answer& answer) noexcept {
  log(Level::notice, "refused", answer.gate, "no grant opens it now, asked at the door");
  return PAM_PERM_DENIED;
}

int Call::nobody_ends_it() noexcept {
  log(Level::error, "refused", {}, "jitd does not answer, and nobody else could end this with its grant");
  tell_of_silence();
  return refused(PAM_PERM_DENIED);
}

// The note first, then the board once more: whoever ends a grant marks the board before it looks at the notes, so one
// of the two sees the other.
int Call::let_in_by(const Answer& board) noexcept {
  if (!host_.note_login(board.grant)) {
    if (!options_.enforce) return settle(board);  // who needs no grant to come in
    log(Level::error, "refused", board.gate,
        "jitd does not answer, and no note could be left to end this login with its grant");
    if (!silent_)
      host_.tell("pam_jit: jitd does not answer, and your login could not be noted, so that nobody would end it.");
    return refused(PAM_PERM_DENIED);
  }
  const Answer again = read_board();
  if (again.verdict != Verdict::allow || std::string_view(again.grant) == board.grant) return settle(again);
  // Another grant of theirs, longer or later: it is noted likewise, and no further.
  if (!host_.note_login(again.grant)) return refused(PAM_PERM_DENIED);
  const Answer last = read_board();
  const bool same = std::string_view(last.grant) == again.grant;
  return last.verdict == Verdict::allow && !same ? refused(PAM_PERM_DENIED) : settle(last);
}

void Call::tell_of_silence() noexcept {
  if (silent_) return;
  host_.tell(
      "pam_jit: jitd does not answer, so that nobody could end it with your grant: no command by a grant is run "
      "now.");
}

void Call::say(const char* text) noexcept {
  if (silent_ || text[0] == '\0') return;
  host_.tell(Text<sizeof Answer::message>().add_lines(text).c_str());
}

int Call::settle(const Answer& answer) noexcept {
  switch (answer.verdict) {
    case Verdict::allow:
      // That it is recorded. As an error message: without a terminal sudo writes others into what the command says.
      if (query_.phase == Phase::session) say(answer.message);
      return PAM_SUCCESS;
    case Verdict::not_gated:
      return PAM_IGNORE;
    case Verdict::observe:
      log(Level::notice, "let in, would be refused if gate and line enforced", answer.gate, {});
      return PAM_IGNORE;
    case Verdict::deny: {
      const bool want_of_grant = answer.gate[0] != '\0';
      if (want_of_grant && !options_.enforce) {
        log(Level::notice, "let in (mode=observe), would be refused", answer.gate, {});
        return PAM_IGNORE;
      }
      log(Level::notice, "refused", answer.gate, want_of_grant ? "no grant opens it now" : "a grant ended meanwhile");
      say(answer.message[0] != '\0' ? answer.message
                                    : "pam_jit: you hold no grant for this now. Ask with: jitctl request");
      return refused(PAM_PERM_DENIED);
    }
    case Verdict::unknown:
      break;
  }
  return cannot_say(kNobodyAnswers);
}

}  // namespace

int account(Host& host, const Options& options, bool silent) noexcept {
  Call call(host, options, Phase::account, silent);
  if (const auto code = call.prepare()) return *code;
  Answer answer = call.ask_jitd(options.timeout_ms);
  if (answer.verdict == Verdict::unknown) {
    answer = call.read_board();
    // sudo says nothing of a session that is refused, and that is what will become of a command by a grant.
    if (answer.live_sudo && answer.verdict != Verdict::deny && wire::is_sudo(item(host, Item::service)))
      call.tell_of_silence();
  } else if (call.may_ask(answer)) {
    if (!call.asked(answer)) return call.refused_at_door(answer);
    answer = call.ask_jitd(options.timeout_ms);
    if (answer.verdict == Verdict::unknown) answer = call.read_board();
  }
  return call.settle(answer);
}

int open_session(Host& host, const Options& options, bool silent) noexcept {
  Call call(host, options, Phase::session, silent);
  if (const auto code = call.prepare()) return *code;
  const Answer board = call.read_board();
  const bool sudo_by_grant = board.live_sudo && wire::is_sudo(item(host, Item::service));
  const bool passes = board.verdict == Verdict::not_gated || board.verdict == Verdict::observe;
  if (passes && !sudo_by_grant) return PAM_IGNORE;
  if (sudo_by_grant) host.take_audit_session();
  // jitd has systemd put the command into a scope of its grant: that takes longer than a question.
  const Answer answer =
      call.ask_jitd(sudo_by_grant ? std::max(options.timeout_ms, kSessionTimeoutMs) : options.timeout_ms);
  if (answer.verdict != Verdict::unknown) return call.settle(answer);
  // Without jitd a gate is held by the board. A command by a grant would run on after its end: it waits for jitd.
  if (sudo_by_grant && board.verdict != Verdict::deny) return call.nobody_ends_it();
  const bool by_grant = board.verdict == Verdict::allow && board.grant[0] != '\0';
  if (by_grant && !call.runs_command()) return call.let_in_by(board);
  return by_grant && options.enforce ? call.nobody_ends_it() : call.settle(board);
}

int close_session(Host& host, const Options& options) noexcept {
  // A session that was opened is closed whatever is wrong by now, so no word to the user and none to the log.
  Call call(host, options, Phase::close, true);
  if (call.prepare()) return PAM_IGNORE;
  call.post();
  return PAM_SUCCESS;
}

}  // namespace jit::pam
