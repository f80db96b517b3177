#include "jitd/sync/mailbox_session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace jit {
namespace {

using Verb = MailboxCommand::Verb;
using What = MailboxReply::What;

void make_non_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

MailboxReply error_reply(const Error& error) {
  MailboxReply reply{What::error};
  reply.error = error;
  return reply;
}

std::uint64_t ms(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(time.count());
}

}  // namespace

MailboxSession::MailboxSession(int in, int out, ShownOutbox& outbox, MailboxHost& host, const Clock& clock,
                               SessionLimits limits)
    : in_(in), out_(out), outbox_(outbox), host_(host), clock_(clock), limits_(limits), started_(now()) {
  make_non_blocking(in_);
  make_non_blocking(out_);
}

std::string MailboxSession::serve() {
  idle_until_ = now() + ms(limits_.idle);
  MailboxReply greeting{What::greeting};
  greeting.host = outbox_.host();
  bool goes_on = say(greeting);
  while (goes_on) {
    const auto line = input_.line(kMaxMailboxCommand);
    if (!line) return over(Errc::invalid, line.error().message);
    if (*line) {
      const auto command = parse_mailbox_command(**line);
      // Where its commands end nobody knows any more.
      if (!command) return over(command.error().code, command.error().message);
      ++commands_;
      if (command->verb == Verb::put) ++puts_;
      if (const std::string what = used_up(); !what.empty())
        return over(Errc::unavailable, "this connection has had its " + what + ": connect again");
      if (command->verb == Verb::quit) {
        (void)say({What::bye});
        return "quit";
      }
      if (const auto welcome = host_.welcome(); !welcome) return over(welcome.error().code, welcome.error().message);
      goes_on = answer(*command);
      idle_until_ = now() + ms(limits_.idle);
      continue;
    }
    if (!ended_ && await(idle_until_, false) == Came::bytes) continue;
    if (ended_ || gone_) return "hung up";
    return over(Errc::unavailable, now() >= started_ + ms(limits_.total)
                                       ? "this connection has had its time: connect again"
                                       : "nothing came for too long: connect again");
  }
  return gone_ ? "hung up" : "cut short";
}

// What this connection has had enough of, with what its next command may take.
std::string MailboxSession::used_up() const {
  if (commands_ > limits_.commands) return "commands";
  if (puts_ > limits_.puts) return "documents";
  if (bytes_in_ > limits_.bytes_in || bytes_out_ > limits_.bytes_out) return "bytes";
  if (now() >= started_ + ms(limits_.total)) return "time";
  return {};
}

// Says why, which is the last thing said.
std::string MailboxSession::over(Errc code, const std::string& why) {
  (void)complain({code, why, 0});
  return why;
}

// Waits for bytes, or with `news` also for changes of the outbox.
MailboxSession::Came MailboxSession::await(std::uint64_t until, bool news) {
  const std::uint64_t last = std::min(until, started_ + ms(limits_.total));
  for (;;) {
    const std::uint64_t time = now();
    if (time >= last) return Came::nothing;
    // A descriptor of -1 is passed over. Who reads what we say may go while nothing more is to come from them.
    std::array<pollfd, 3> waiting{
        {{ended_ ? -1 : in_, POLLIN, 0}, {news ? outbox_.changes() : -1, POLLIN, 0}, {out_, 0, 0}}};
    // poll's clock stands still in suspend: look at ours once a second.
    const int ready =
        ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<std::uint64_t>(last - time, 1000)));
    if (ready < 0 && errno != EINTR) {
      gone_ = true;
      return Came::nothing;
    }
    if (ready <= 0) continue;
    if (waiting[0].revents != 0) {
      take_in();
      if (!ended_) return Came::bytes;
      if (!news) return Came::nothing;
    }
    if ((waiting[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
      gone_ = true;
      return Came::nothing;
    }
    if (waiting[1].revents != 0) return Came::news;
  }
}

void MailboxSession::take_in() {
  std::array<char, 16384> buffer{};
  const ssize_t got = ::read(in_, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    ended_ = true;
    return;
  }
  bytes_in_ += static_cast<std::uint64_t>(got);
  input_.add(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
}

bool MailboxSession::say_bytes(std::string_view bytes) {
  const std::uint64_t until = now() + ms(limits_.idle);
  while (!bytes.empty()) {
    const ssize_t put = ::write(out_, bytes.data(), bytes.size());
    if (put > 0) {
      bytes_out_ += static_cast<std::uint64_t>(put);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    const std::uint64_t time = now();
    if (put < 0 && errno == EAGAIN && time < until) {
      pollfd waiting{out_, POLLOUT, 0};
      (void)::poll(&waiting, 1, static_cast<int>(std::min<std::uint64_t>(until - time, 1000)));
      continue;
    }
    gone_ = true;
    return false;
  }
  return true;
}

bool MailboxSession::say(const MailboxReply& reply) {
  return say_bytes(to_line(reply));
}

bool MailboxSession::complain(const Error& error) {
  return say(error_reply(error));
}

bool MailboxSession::answer(const MailboxCommand& command) {
  switch (command.verb) {
    case Verb::list:
      return list();
    case Verb::get:
      return get(command.name);
    case Verb::wait:
      return wait();
    default: {  // put: quit is no more here
      const auto bytes = body(command.size);
      if (!bytes) {
        if (!ended_ && !gone_) (void)complain({Errc::unavailable, "the document did not come whole", 0});
        return false;
      }
      const auto taken = host_.take(*bytes);
      return taken ? say({What::ok}) : complain(taken.error());
    }
  }
}

bool MailboxSession::list() {
  const auto items = outbox_.list();
  if (!items) return complain(items.error());
  std::string lines;
  for (const Item& item : *items) {
    MailboxReply reply{What::item};
    reply.item = item;
    lines += to_line(reply);
  }
  MailboxReply end{What::end};
  end.number = items->size();
  return say_bytes(lines + to_line(end));
}

bool MailboxSession::get(const std::string& name) {
  const auto text = outbox_.get(name);
  if (!text) return complain(text.error());
  MailboxReply reply{What::data};
  reply.number = text->size();
  return say_bytes(to_line(reply) + *text);
}

// Until list would give something else, the next command begins to come, or the time is over.
bool MailboxSession::wait() {
  const std::uint64_t until = now() + ms(limits_.wait);
  for (bool by_news = false;; by_news = true) {
    const auto changed = outbox_.changed();
    if (!changed) return complain(changed.error());
    if (*changed) return say({What::changed});
    // Much may happen that is not for this visitor, and each look costs one.
    if (by_news) (void)await(std::min(until, now() + ms(limits_.pause)), false);
    if (!input_.empty() || gone_ || await(until, true) != Came::news) return !gone_ && say({What::same});
  }
}

std::optional<std::string> MailboxSession::body(std::size_t size) {
  for (;;) {
    if (auto block = input_.block(size)) return block;
    if (ended_ || await(idle_until_, false) != Came::bytes) return std::nullopt;
  }
}

void refuse_mailbox(int out, const Error& error) {
  const std::string line = to_line(error_reply(error));
  (void)!::write(out, line.data(), line.size());
}

}  // namespace jit
