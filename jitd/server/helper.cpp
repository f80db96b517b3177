#include "jitd/server/helper.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr const char* kNoAnswer = "the name service or sudo does not answer: try again, or look at nsswitch.conf";
constexpr unsigned kAttempts = 2;

Result<Account> to_account(Result<std::vector<std::string>> texts) {
  if (!texts) return tl::unexpected(texts.error());
  if (texts->size() < 3) return fail(Errc::unavailable, kNoAnswer);
  const auto uid = parse_number((*texts)[1], UINT32_MAX), gid = parse_number((*texts)[2], UINT32_MAX);
  if (!uid || !gid) return fail(Errc::unavailable, kNoAnswer);
  Account account{std::move((*texts)[0]), static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid), {}};
  account.groups.assign(std::make_move_iterator(texts->begin() + 3), std::make_move_iterator(texts->end()));
  return account;
}

Result<bool> to_bool(Result<std::vector<std::string>> texts) {
  if (!texts) return tl::unexpected(texts.error());
  if (texts->size() != 1 || ((*texts)[0] != "yes" && (*texts)[0] != "no")) return fail(Errc::unavailable, kNoAnswer);
  return (*texts)[0] == "yes";
}

// A child with `socket` as standard input, in a process group of its own; signals as they are by default.
Result<pid_t> start_child(const std::vector<std::string>& argv, int socket) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, socket, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8", zone[] = "TZ=UTC";
  char* environment[] = {path, locale, zone, nullptr};
  pid_t pid = -1;
  const int rc = ::posix_spawn(&pid, pointers[0], &actions, &attributes, pointers.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (rc != 0) return fail_errno(rc, "cannot start the helper process");
  return pid;
}

}  // namespace

Helper::Helper(Loop& loop, Config config) : loop_(loop), config_(std::move(config)) {
  deadline_ = loop_.timer(CLOCK_BOOTTIME, [this] { time_is_up(); });
  handing_out_ = loop_.later([this] { hand_out(); });
}

Helper::~Helper() {
  for (auto& worker : workers_) {
    (void)::kill(-worker->pid, SIGKILL);
    worker->socket.reset();
  }
  // Those that can be reaped now are; the rest is init's after us.
  for (auto& worker : workers_) (void)::waitpid(worker->pid, nullptr, WNOHANG);
}

void Helper::account(std::uint32_t uid, Answer<Account> then) {
  ask(Ask::account_of_uid, {std::to_string(uid)}, config_.deadline_usec,
      [then = std::move(then)](auto texts) { then(to_account(std::move(texts))); });
}

void Helper::account(const std::string& name, Answer<Account> then) {
  // Also keeps a NUL from cutting the name short on its way to getpwnam.
  if (auto fine = check_user_name(name); !fine) return then(tl::unexpected(fine.error()));
  ask(Ask::account_of_name, {name}, config_.deadline_usec,
      [then = std::move(then)](auto texts) { then(to_account(std::move(texts))); });
}

void Helper::readback(const std::string& user, const Effects& effects, const std::string& grant_id,
                      Answer<bool> then) {
  ask(Ask::readback, {user, to_text(effects), grant_id}, config_.readback_usec,
      [then = std::move(then)](auto texts) { then(to_bool(std::move(texts))); });
}

void Helper::standing_rule(const std::string& user, Answer<bool> then) {
  ask(Ask::standing_rule, {user}, config_.readback_usec,
      [then = std::move(then)](auto texts) { then(to_bool(std::move(texts))); });
}

void Helper::still_allowed(const std::string& user, const std::string& as, const std::vector<std::string>& words,
                           Answer<bool> then) {
  std::vector<std::string> texts{user, as};
  texts.insert(texts.end(), words.begin(), words.end());
  ask(Ask::still_allowed, std::move(texts), config_.still_allowed_usec,
      [then = std::move(then)](auto answer) { then(to_bool(std::move(answer))); });
}

void Helper::ask(Ask kind, std::vector<std::string> texts, std::uint64_t deadline_usec,
                 std::function<void(Result<std::vector<std::string>>)> then) {
  if (queue_.size() >= kMaxQueue)
    return then(fail(Errc::busy, "too many questions wait for the name service: try again"));
  auto question = std::make_unique<Question>();
  question->message = HelperMessage{static_cast<std::uint32_t>(kind), next_id_++, std::move(texts)};
  question->then = std::move(then);
  question->deadline_usec = deadline_usec;
  queue_.push_back(std::move(question));
  // Answers come from the loop, never from within the call that asks.
  handing_out_.arm(0);
}

void Helper::hand_out() {
  while (!queue_.empty()) {
    const auto idle = std::ranges::find_if(workers_, [](const auto& worker) { return !worker->question; });
    Worker* worker = idle == workers_.end() ? nullptr : idle->get();
    if (worker == nullptr) {
      if (workers_.size() >= kWorkers) return;
      const auto fresh = spawn();
      if (!fresh) {
        auto question = std::move(queue_.front());
        queue_.pop_front();
        answer(std::move(question), fail(Errc::unavailable, fresh.error().message));
        continue;
      }
      worker = *fresh;
    }
    worker->question = std::move(queue_.front());
    queue_.pop_front();
    ++worker->question->attempts;
    worker->until = Loop::now_usec(CLOCK_BOOTTIME) + worker->question->deadline_usec;
    const std::string bytes = encode(worker->question->message);
    if (bytes.empty()) {
      answer(std::move(worker->question), fail(Errc::refused, "the question is too long"));
      continue;
    }
    if (::send(worker->socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
      lose(worker, "", false);  // it ended for want of work just now
  }
  arm();
}

Result<Helper::Worker*> Helper::spawn() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno(errno, "cannot start the helper process");
  auto worker = std::make_unique<Worker>();
  worker->socket.reset(pair[0]);
  const UniqueFd theirs(pair[1]);
  const auto pid = start_child(config_.argv, theirs.get());
  if (!pid) return tl::unexpected(pid.error());
  worker->pid = *pid;
  worker->pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  Worker* raw = worker.get();
  worker->reading = loop_.io(worker->socket.get(), EPOLLIN, [this, raw](std::uint32_t) { on_readable(raw); });
  workers_.push_back(std::move(worker));
  return raw;
}

void Helper::on_readable(Worker* worker) {
  std::string buffer(kMaxHelperMessage + 1, '\0');
  const ssize_t size = ::recv(worker->socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return lose(worker, worker->question ? "the helper process ended within a question" : "", false);
  auto message = static_cast<std::size_t>(size) > buffer.size()
                     ? std::nullopt
                     : decode_helper_message(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)));
  if (!message || !worker->question || message->id != worker->question->message.id)
    return lose(worker, "the helper process answered what was not asked", false);
  auto question = std::move(worker->question);
  if (message->kind == 0) {
    answer(std::move(question), std::move(message->texts));
  } else {
    const auto code = message->kind - 1 <= static_cast<std::uint32_t>(Errc::system)
                          ? static_cast<Errc>(message->kind - 1)
                          : Errc::unavailable;
    answer(std::move(question), fail(code, message->texts.size() == 1 ? shown(message->texts[0]) : kNoAnswer));
  }
  handing_out_.arm(0);
  arm();
}

void Helper::answer(std::unique_ptr<Question> question, Result<std::vector<std::string>> result) {
  question->then(std::move(result));
}

void Helper::lose(Worker* worker, const std::string& why, bool hung) {
  const auto it = std::ranges::find_if(workers_, [&](const auto& other) { return other.get() == worker; });
  if (it == workers_.end()) return;
  auto gone = std::move(*it);
  workers_.erase(it);
  auto question = std::move(gone->question);
  bury(std::move(gone));
  if (!why.empty()) {
    ++restarts_;
    if (config_.warn) config_.warn(why);
  }
  if (question) {
    if (!hung && question->attempts < kAttempts)
      queue_.push_front(std::move(question));
    else
      answer(std::move(question), fail(Errc::unavailable, kNoAnswer));
  }
  handing_out_.arm(0);
}

// Kills it, with what it has started, and reaps it when it is dead: a process in a kernel wait may take long.
void Helper::bury(std::unique_ptr<Worker> worker) {
  worker->reading.reset();
  worker->socket.reset();
  (void)::kill(-worker->pid, SIGKILL);
  (void)::kill(worker->pid, SIGKILL);
  if (::waitpid(worker->pid, nullptr, WNOHANG) != 0 || !worker->pidfd) return;
  Worker* raw = worker.get();
  dying_.push_back(std::move(worker));
  raw->exited = loop_.io(raw->pidfd.get(), EPOLLIN, [this, raw](std::uint32_t) {
    (void)::waitpid(raw->pid, nullptr, WNOHANG);
    dying_.remove_if([raw](const auto& other) { return other.get() == raw; });
  });
}

void Helper::time_is_up() {
  const std::uint64_t now = Loop::now_usec(CLOCK_BOOTTIME);
  std::vector<Worker*> late;
  for (const auto& worker : workers_)
    if (worker->question && worker->until <= now) late.push_back(worker.get());
  for (Worker* worker : late) lose(worker, "a question to the name service or sudo was not answered in time", true);
  arm();
}

void Helper::arm() {
  std::uint64_t next = UINT64_MAX;
  for (const auto& worker : workers_)
    if (worker->question) next = std::min(next, worker->until);
  if (next == UINT64_MAX)
    deadline_.disarm();
  else
    deadline_.arm(next);
}

}  // namespace jit
