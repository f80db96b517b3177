#include "jitd/sync/ssh.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "jitd/sync/mailbox_lines.hpp"
#include "jitd/sys/dialogue.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using Verb = MailboxCommand::Verb;
using What = MailboxReply::What;

constexpr std::uint64_t kGreet = 120'000;  // ms: a person may have to type a passphrase or touch a key first
constexpr std::uint64_t kAnswer = 45'000;  // ms, more than the host waits for anything but news
constexpr std::size_t kMostAhead = 32;     // documents that are asked for before they are needed

// What ssh and what it runs for its user (askpass, an agent, a ProxyCommand) go by.
constexpr std::array kKept = {"HOME",
                              "PATH",
                              "USER",
                              "LOGNAME",
                              "SHELL",
                              "TERM",
                              "LANG",
                              "LC_ALL",
                              "LC_CTYPE",
                              "LC_MESSAGES",
                              "TMPDIR",
                              "DISPLAY",
                              "XAUTHORITY",
                              "WAYLAND_DISPLAY",
                              "XDG_RUNTIME_DIR",
                              "SSH_ASKPASS",
                              "KRB5CCNAME",
                              "DBUS_SESSION_BUS_ADDRESS",
                              "SSH_AUTH_SOCK",
                              "SSH_SK_PROVIDER",
                              "SSH_ASKPASS_REQUIRE"};

std::vector<std::string> kept_environment() {
  std::vector<std::string> environment;
  for (const char* name : kKept) {
    const char* value = ::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody of ours changes it
    if (value != nullptr) environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

// "USER@HOST:PORT" of a specification as ssh's arguments. What its configuration says of shells, forwarding and
// shared connections is for other uses than this; all else of it holds.
std::vector<std::string> arguments(const std::string& program, const std::string& server) {
  const auto at = server.find('@');
  const std::string user = server.substr(0, at);
  std::string host = server.substr(at + 1), port;
  const auto bracket = host.rfind(']');
  const auto colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) port = host.substr(colon + 1);
  host = host.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);

  std::vector<std::string> argv = {program, "-T", "-a", "-x"};
  for (const char* option : {"ClearAllForwardings=yes", "Tunnel=no", "PermitLocalCommand=no", "RemoteCommand=none",
                             "ControlMaster=no", "ControlPath=none", "ConnectTimeout=15"}) {
    argv.emplace_back("-o");
    argv.emplace_back(option);
  }
  if (!port.empty()) argv.insert(argv.end(), {"-p", port});
  argv.insert(argv.end(), {"-l", user, "--", host});
  return argv;
}

class SshMailbox final : public Mailbox {
 public:
  SshMailbox(std::string name, std::vector<std::string> argv, std::vector<std::string> environment)
      : name_(std::move(name)), argv_(std::move(argv)), environment_(std::move(environment)) {}
  ~SshMailbox() override {
    if (talk_) (void)talk_->say(to_line(MailboxCommand{Verb::quit, {}, 0}), boot_time_ms());
  }
  SshMailbox(const SshMailbox&) = delete;
  SshMailbox& operator=(const SshMailbox&) = delete;

  Result<void> list(const Box& box, const Visit& visit) override {
    std::vector<Item> items;
    auto listed = connected([&] { return fetch_list(box, items); });
    if (!listed) return listed;
    for (const Item& item : items)
      if (!visit(item)) break;
    return {};
  }

  Result<std::string> get(const Box& box, const Item& item) override {
    std::string bytes;
    if (auto got = connected([&] { return fetch(box, item.name, bytes); }); !got) return tl::unexpected(got.error());
    return bytes;
  }

  // Twice is once: what came through before a connection broke is the same document again.
  Result<void> put(const Box& box, const std::string& /*name*/, std::string_view bytes, WallTime /*until*/) override {
    if (bytes.empty() || bytes.size() > kMaxDocument)
      return fail(Errc::invalid, "a document has 1 to " + std::to_string(kMaxDocument) + " bytes");
    return connected([&] { return send(box, bytes); });
  }

  Result<void> remove(const Box& /*box*/, const std::string& /*name*/) override {
    return fail(Errc::refused, name_ + ": what a host says of itself, it takes away itself");
  }

  Result<void> wait(const std::vector<Box>& boxes, int other, std::chrono::milliseconds at_most,
                    bool /*eager*/) override {
    const std::uint64_t until =
        boot_time_ms() + static_cast<std::uint64_t>(std::max<std::int64_t>(0, at_most.count()));
    const bool fresh = !talk_ || closed_by_host();
    if (auto here = connect(); !here) return here;
    const bool ours = std::any_of(boxes.begin(), boxes.end(), [&](const Box& box) { return is_from(box); });
    if (!ours) {
      (void)readable(-1, other, until);
      return {};
    }
    // Nothing was listed on this connection yet: it cannot tell what is news.
    if (fresh || std::exchange(news_, false)) return {};
    return wait_for_news(other, until);
  }

 private:
  // Runs `exchange`, and once more on a new connection when that of before turns out to be none any more.
  template <class Exchange>
  Result<void> connected(Exchange exchange) {
    const bool before = talk_ != nullptr && !closed_by_host();
    if (auto here = connect(); !here) return here;
    auto done = exchange();
    if (done || done.error().code != Errc::unavailable) return done;
    drop();
    if (!before) return done;
    if (auto again = connect(); !again) return again;
    done = exchange();
    if (!done && done.error().code == Errc::unavailable) drop();
    return done;
  }

  void drop() {
    talk_.reset();
    input_ = {};
    asked_.clear();
    ahead_.clear();
    waiting_ = news_ = false;
  }

  // The host speaks when it is asked, or to say that this was all.
  bool closed_by_host() {
    if (waiting_ || !asked_.empty() || (input_.empty() && !readable(talk_->descriptor(), -1, boot_time_ms())))
      return false;
    drop();
    return true;
  }

  Result<void> connect() {
    if (talk_) return {};
    auto talk = Dialogue::start(argv_, environment_);
    if (!talk) return tl::unexpected(talk.error());
    talk_ = std::move(*talk);
    const auto greeting = reply(kGreet);
    if (greeting && greeting->what == What::greeting) {
      host_ = greeting->host;
      return {};
    }
    Error why = greeting ? greeting->error : greeting.error();
    if (!greeting && why.code == Errc::unavailable) {
      const int status = talk_->end();
      why.message = "ssh ended with status " + std::to_string(status) + " before the mailbox said anything";
    } else if (greeting && greeting->what != What::error) {
      why = {Errc::invalid, "what answers there is no mailbox", 0};
    }
    drop();
    return within(name_, why);
  }

  // When one of them is readable; false: the time is over. With until in the past: now.
  static bool readable(int fd, int other, std::uint64_t until) {
    for (;;) {
      const std::uint64_t now = boot_time_ms();
      const std::uint64_t left = until > now ? std::min<std::uint64_t>(until - now, 1000) : 0;
      std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {other, POLLIN, 0}}};
      if (::poll(waiting.data(), waiting.size(), static_cast<int>(left)) > 0) return true;
      if (left == 0) return false;
    }
  }

  // The next line of the host. A line that makes no sense ends the connection: whatever follows makes none either.
  Result<MailboxReply> reply(std::uint64_t patience) {
    const std::uint64_t until = boot_time_ms() + patience;
    for (;;) {
      auto line = input_.line(kMaxMailboxReply);
      if (!line) return lost(line.error());
      if (*line) {
        auto parsed = parse_mailbox_reply(**line);
        if (!parsed) return lost(parsed.error());
        if (parsed->what == What::bye) return lost({Errc::unavailable, "the mailbox closed", 0});
        return parsed;
      }
      auto chunk = talk_->hear(until);
      if (!chunk) return tl::unexpected(chunk.error());
      input_.add(*chunk);
    }
  }

  // The answer that `what` names; the host's own error; anything else makes no sense.
  Result<MailboxReply> expect(std::initializer_list<What> what, std::uint64_t patience = kAnswer) {
    auto line = reply(patience);
    if (!line) return line;
    if (line->what == What::error) return within(name_, line->error);
    if (std::find(what.begin(), what.end(), line->what) != what.end()) return line;
    return lost({Errc::invalid, "an answer to something else", 0});
  }

  tl::unexpected<Error> lost(const Error& why) {
    if (why.code == Errc::invalid) {
      Error error{Errc::invalid, name_ + ": the mailbox there makes no sense: " + why.message, 0};
      drop();
      return tl::unexpected(error);
    }
    return tl::unexpected(why);
  }

  Result<void> command(const MailboxCommand& what, std::string_view block = {}) {
    return talk_->say(to_line(what) + std::string(block), boot_time_ms() + kAnswer);
  }

  // Behind all that was asked before: the answers that still have to come are read first.
  Result<void> settle() {
    while (!asked_.empty())
      if (auto one = take_ahead(); !one) return one;
    if (!waiting_) return {};
    const auto answer = expect({What::same, What::changed});
    waiting_ = false;
    if (!answer) return tl::unexpected(answer.error());
    news_ = news_ || answer->what == What::changed;
    return {};
  }

  [[nodiscard]] bool is_from(const Box& box) const {
    return box.kind() == Box::Kind::from_host && box.name() == host_;
  }

  Result<void> fetch_list(const Box& box, std::vector<Item>& items) {
    items.clear();
    if (!is_from(box)) return {};
    // Said before the answer to an outstanding wait is read: that ends it.
    if (auto said = command({Verb::list, {}, 0}); !said) return said;
    if (auto settled = settle(); !settled) return settled;
    ahead_.clear();
    news_ = false;
    for (;;) {
      auto line = expect({What::item, What::end});
      if (!line) return tl::unexpected(line.error());
      if (line->what == What::end) {
        if (line->number != items.size()) return lost({Errc::invalid, "a list of another length than it says", 0});
        break;
      }
      if (items.size() >= kMaxMailboxItems) return lost({Errc::invalid, "a list without an end", 0});
      items.push_back(std::move(line->item));
    }
    order_.clear();
    for (const Item& item : items) order_.push_back(item.name);
    next_ = 0;
    window_ = 1;
    return {};
  }

  // Reads the answer to the first document that was asked for.
  Result<void> take_ahead() {
    const std::string name = asked_.front();
    auto line = reply(kAnswer);
    if (!line) return tl::unexpected(line.error());
    asked_.pop_front();
    if (line->what == What::error) {
      ahead_.insert_or_assign(name, within(name_, line->error));
      return {};
    }
    if (line->what != What::data) return lost({Errc::invalid, "an answer to something else", 0});
    const std::uint64_t until = boot_time_ms() + kAnswer;
    for (;;) {
      if (auto block = input_.block(line->number)) {
        ahead_.insert_or_assign(name, std::move(*block));
        return {};
      }
      auto chunk = talk_->hear(until);
      if (!chunk) return tl::unexpected(chunk.error());
      input_.add(*chunk);
    }
  }

  // Who reads one after the other gets more and more of them asked for ahead, or each would cost a way there and
  // back.
  Result<void> fetch(const Box& box, const std::string& name, std::string& bytes) {
    if (!is_from(box) || !mailbox_name(name)) return fail(Errc::not_found, name_ + ": no such document");
    const bool in_order = next_ < order_.size() && order_[next_] == name;
    if (!in_order) {
      next_ = static_cast<std::size_t>(std::find(order_.begin(), order_.end(), name) - order_.begin());
      window_ = 1;
    }
    const bool asked = ahead_.contains(name) || std::find(asked_.begin(), asked_.end(), name) != asked_.end();
    if (!asked) {
      if (auto settled = ask_ahead(name); !settled) return settled;
      window_ = std::min(window_ * 2, kMostAhead);
    }
    while (!ahead_.contains(name))
      if (auto one = take_ahead(); !one) return one;
    ++next_;
    auto result = std::move(ahead_.find(name)->second);
    ahead_.erase(name);
    if (!result) return tl::unexpected(result.error());
    bytes = std::move(*result);
    return {};
  }

  Result<void> ask_ahead(const std::string& name) {
    std::vector<std::string> names = {name};
    for (std::size_t i = next_ + 1; i < order_.size() && names.size() < window_; ++i) names.push_back(order_[i]);
    std::string lines;
    for (const std::string& one : names) lines += to_line(MailboxCommand{Verb::get, one, 0});
    if (auto said = talk_->say(lines, boot_time_ms() + kAnswer); !said) return said;
    if (auto settled = settle(); !settled) return settled;
    ahead_.clear();
    asked_.assign(names.begin(), names.end());
    return {};
  }

  Result<void> send(const Box& box, std::string_view bytes) {
    if (box.kind() != Box::Kind::to_host || box.name() != host_) {
      return fail(Errc::refused,
                  name_ + " is the mailbox of " + host_ + " alone: nothing can be put into " + box.path() + " there");
    }
    if (auto said = command({Verb::put, {}, bytes.size()}, bytes); !said) return said;
    if (auto settled = settle(); !settled) return settled;
    if (const auto answer = expect({What::ok}); !answer) return tl::unexpected(answer.error());
    return {};
  }

  Result<void> wait_for_news(int other, std::uint64_t until) {
    for (;;) {
      if (!waiting_) {
        if (auto said = command({Verb::wait, {}, 0}); !said) return gone();
        while (!asked_.empty())
          if (auto one = take_ahead(); !one) return one.error().code == Errc::unavailable ? gone() : one;
        waiting_ = true;
      }
      if (input_.empty()) {
        if (!readable(talk_->descriptor(), other, until)) return {};
        if (!readable(talk_->descriptor(), -1, 0)) return {};  // the other one
      }
      const auto answer = expect({What::same, What::changed});
      waiting_ = false;
      if (!answer && answer.error().code == Errc::unavailable) return gone();
      if (!answer) return tl::unexpected(answer.error());
      if (answer->what == What::changed) return {};
      if (boot_time_ms() >= until) return {};
    }
  }

  // A connection that is over may have taken news with it.
  Result<void> gone() {
    drop();
    return {};
  }

  std::string name_;  // for messages: the source's URL
  std::vector<std::string> argv_, environment_;
  std::unique_ptr<Dialogue> talk_;
  MailboxInput input_;
  std::string host_;
  bool waiting_ = false;  // the answer to a `wait` is still to come
  bool news_ = false;     // it came, and said so, while something else was asked
  // What is read ahead: names in the order of the last list, the next one of these that is to be read, names that
  // were asked for, and answers that came before they were wanted.
  std::vector<std::string> order_;
  std::size_t next_ = 0, window_ = 1;
  std::deque<std::string> asked_;
  std::map<std::string, Result<std::string>> ahead_;
};

}  // namespace

Result<std::unique_ptr<Mailbox>> make_ssh_mailbox(const SourceSpec& spec, const std::string& program) {
  if (spec.type != SourceSpec::Type::ssh || spec.servers.size() != 1)
    return fail(Errc::invalid, "\"" + shown(spec.url, 200) + "\" is no ssh source");
  return std::make_unique<SshMailbox>(shown(spec.url, 200), arguments(program, spec.servers[0]), kept_environment());
}

}  // namespace jit
