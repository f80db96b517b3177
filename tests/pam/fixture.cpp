#include "tests/pam/fixture.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/unit/catch.hpp"

namespace jit::pam::test {
namespace {

std::int64_t milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

Place::Place() : path_("/tmp/jit-pam-XXXXXX"), before_(std::filesystem::current_path()) {
  REQUIRE(::mkdtemp(path_.data()) != nullptr);
  std::filesystem::current_path(path_);
  std::filesystem::create_directory("pam.d");
  std::filesystem::create_directory("logins");
  const std::string uid = std::to_string(::getuid());
  write("passwd", "root:x:4242:0::/root:/bin/sh\nalice:x:" + uid + ":1000::/home/alice:/bin/sh\n", 0644);
  write("group", "root:x:0:\nbreakglass:x:990:alice\n", 0644);
  write("boot_id", std::string(kBoot) + "\n", 0444);
  write("pam.d/other", "account required pam_deny.so\n", 0644);
}

Place::~Place() {
  std::filesystem::current_path(before_);
  std::filesystem::remove_all(path_);
}

void Place::write(const std::string& name, const std::string& text, mode_t mode) const {
  const std::string file = path_ + "/" + name;
  std::filesystem::remove(file);
  std::ofstream(file, std::ios::binary) << text;
  REQUIRE(::chmod(file.c_str(), mode) == 0);
}

void Place::remove(const std::string& name) const {
  std::filesystem::remove(path_ + "/" + name);
}

void Place::service(const std::string& service, const std::string& module, const std::string& arguments) const {
  std::string text;
  for (const char* type : {"auth", "account", "password", "session"}) {
    text += std::string(type) + " [success=1 ignore=ignore default=die] " + module + " " + arguments + "\n";
    text += std::string(type) +
            " [default=die] pam_debug.so acct=conv_err open_session=conv_err close_session=conv_err\n";
    text += std::string(type) + " required pam_permit.so\n";
  }
  write("pam.d/" + service, text, 0644);
}

std::string board(const Board& what) {
  wire::BoardContent content;
  content.boot_id = what.boot;
  if (what.gated)
    content.gates = {{"login", {"sshd", "sudo"}, true, true, {}, {}, "Ask with: jitctl request"},
                     {"watch", {"login"}, false, true, {}, {}, ""}};
  if (what.grant) {
    wire::GrantOnBoard grant;
    grant.id = "aaaaaaaaaaaaaaaa";
    grant.user = "alice";
    grant.uid = ::getuid();
    grant.not_after_ms = milliseconds(CLOCK_REALTIME) + 600'000;
    grant.boot_deadline_ms = static_cast<std::uint64_t>(milliseconds(CLOCK_BOOTTIME)) + 600'000;
    if (what.gated) grant.opens = {"login", "watch"};
    grant.has_sudo = what.sudo;
    content.grants = {grant};
  }
  if (what.waited)
    content.sudo_ends = {{::getuid(), static_cast<std::uint64_t>(milliseconds(CLOCK_BOOTTIME)) + 1000}};
  auto bytes = wire::make_board(content);
  REQUIRE(bytes);
  if (what.ended) wire::store_u32(bytes->data() + bytes->size() - 4, wire::ended_word(1000));
  return *bytes;
}

int bound_socket(bool listen, int backlog) {
  ::unlink("check.sock");
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "check.sock");
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  if (listen) REQUIRE(::listen(fd, backlog) == 0);
  return fd;
}

Daemon::Daemon(Script script)
    : script_(std::move(script)), listener_(bound_socket(true)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  REQUIRE(stop_ >= 0);
  thread_ = std::thread([this] { run(); });
}

Daemon::~Daemon() {
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(listener_);
  ::close(stop_);
  ::unlink("check.sock");
}

void Daemon::run() {
  std::vector<int> kept;
  for (;;) {
    pollfd ready[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0) continue;
    if (ready[1].revents != 0) break;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    char request[8192];
    const ssize_t size = ::recv(fd, request, sizeof request, 0);
    ++asked_;
    const auto answer = script_(std::string(request, size > 0 ? static_cast<std::size_t>(size) : 0));
    if (answer && !answer->empty()) (void)!::send(fd, answer->data(), answer->size(), MSG_NOSIGNAL);
    if (answer) {
      ::close(fd);
    } else {
      kept.push_back(fd);
    }
  }
  for (const int fd : kept) ::close(fd);
}

Daemon::Script says(wire::Verdict verdict, const std::string& gate, const std::string& message) {
  return [=](const std::string& request) -> std::optional<std::string> {
    const auto frame = wire::Frame::parse(std::as_bytes(std::span(request)));
    if (!frame || !wire::read_query(*frame)) return "";
    wire::Answer answer;
    answer.verdict = verdict;
    wire::copy_text(answer.gate, gate);
    wire::copy_text(answer.message, message);
    std::byte buffer[wire::kMaxCheckFrame];
    const auto bytes = wire::make_answer(buffer, frame->id(), answer);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
}

Transaction::Transaction(const Place& place, const std::string& service, const Run& run)
    : flags_(run.flags), typed_(run.typed) {
  const pam_conv conversation{&Transaction::converse, this};
  const std::string directory = place.path() + "/pam.d";
  REQUIRE(pam_start_confdir(service.c_str(), run.user ? run.user->c_str() : nullptr, &conversation, directory.c_str(),
                            &handle_) == PAM_SUCCESS);
  REQUIRE(pam_set_item(handle_, PAM_RUSER, run.ruser.c_str()) == PAM_SUCCESS);
}

Transaction::~Transaction() {
  pam_end(handle_, PAM_SUCCESS);
}

int Transaction::converse(int count, const pam_message** messages, pam_response** responses, void* self) noexcept {
  Transaction& run = *static_cast<Transaction*>(self);
  *responses = static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  if (*responses == nullptr) return PAM_BUF_ERR;
  for (int i = 0; i < count; ++i) {
    if (messages[i]->msg_style == PAM_TEXT_INFO) continue;  // pam_debug's
    const bool prompts = messages[i]->msg_style == PAM_PROMPT_ECHO_ON;
    if (prompts) run.prompted_.emplace_back(messages[i]->msg);
    if ((prompts && run.typed_.empty()) || (!prompts && messages[i]->msg_style != PAM_ERROR_MSG)) {
      std::free(*responses);
      *responses = nullptr;
      return PAM_CONV_ERR;
    }
    if (!prompts) {
      run.told_.emplace_back(messages[i]->msg);
      continue;
    }
    (*responses)[i].resp = ::strdup(run.typed_.front().c_str());
    run.typed_.pop_front();
  }
  return PAM_SUCCESS;
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace jit::pam::test
