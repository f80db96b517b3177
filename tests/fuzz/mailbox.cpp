// Any bytes at either end of the line between a host's mailbox and its visitors: what parses is within its bounds and
// reads back, and a whole session of them ends, hands on no more than was announced, and never speaks out of turn.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "jitd/sync/mailbox_keys.hpp"
#include "jitd/sync/mailbox_lines.hpp"
#include "jitd/sync/mailbox_session.hpp"
#include "policy/document/envelope.hpp"

namespace {

void demand(bool good) {
  if (!good) std::abort();
}

// The other end of lines that read back as they were.
void both_ways(std::string_view line) {
  if (const auto command = jit::parse_mailbox_command(line)) {
    demand(jit::to_line(*command) == std::string(line) + "\n");
    demand(command->size <= jit::kMaxDocument);
    demand(command->name.empty() || jit::mailbox_name(command->name));
  }
  if (const auto reply = jit::parse_mailbox_reply(line)) {
    const std::string again = jit::to_line(*reply);
    demand(again.size() <= jit::kMaxMailboxReply + 1 && again.find('\n') == again.size() - 1);
    const auto same = jit::parse_mailbox_reply(std::string_view(again).substr(0, again.size() - 1));
    demand(same && same->what == reply->what && same->number == reply->number && same->host == reply->host);
    demand(same->item.name == reply->item.name && same->error.code == reply->error.code);
  }
}

class CountingHost final : public jit::MailboxHost {
 public:
  jit::Result<void> welcome() override { return {}; }
  jit::Result<void> take(std::string_view bytes) override {
    demand(!bytes.empty() && bytes.size() <= jit::kMaxDocument);
    return jit::fail(jit::Errc::refused, "not here");
  }
};

// A folder with nothing in it but a host's name, for as long as this runs.
const std::string& outbox_folder() {
  static const std::string folder = [] {
    char name[] = "/tmp/jit-fuzz-mailbox.XXXXXX";
    demand(::mkdtemp(name) != nullptr);
    std::ofstream(std::string(name) + "/host") << "host db1\n";
    return std::string(name);
  }();
  static const struct Remove {
    ~Remove() {
      (void)::unlink((folder + "/host").c_str());
      (void)::rmdir(folder.c_str());
    }
  } remove;
  return folder;
}

void session(std::string_view bytes) {
  int in[2], out[2];
  demand(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
  const jit::UniqueFd in_read(in[0]), out_read(out[0]);
  jit::UniqueFd in_write(in[1]);
  const jit::UniqueFd out_write(out[1]);
  constexpr std::size_t kPipe = 60'000;
  bytes = bytes.substr(0, kPipe);
  demand(::write(in_write.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  in_write.reset();
  auto outbox = jit::ShownOutbox::open(outbox_folder(), {});
  demand(outbox.has_value());
  CountingHost host;
  const jit::SystemClock clock;
  jit::SessionLimits limits;
  limits.commands = 200;  // what they are answered with fits into a pipe
  limits.idle = limits.wait = limits.pause = std::chrono::milliseconds(1);
  jit::MailboxSession talk(in_read.get(), out_write.get(), *outbox, host, clock, limits);
  (void)talk.serve();
  std::string said(65536, '\0');
  const ssize_t got = ::read(out_read.get(), said.data(), said.size());
  demand(got > 0);
  std::string_view lines(said.data(), static_cast<std::size_t>(got));
  demand(lines.starts_with("jit-mailbox 1 db1\n") && lines.ends_with('\n'));
  while (!lines.empty()) {
    demand(jit::parse_mailbox_reply(lines.substr(0, lines.find('\n'))).has_value());
    lines.remove_prefix(lines.find('\n') + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  both_ways(bytes.substr(0, bytes.find('\n')));
  jit::MailboxInput input;
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    input.add(bytes.substr(at, 7));
    for (;;) {
      const auto line = input.line(jit::kMaxMailboxCommand);
      if (!line || !*line) break;
      demand((*line)->size() <= jit::kMaxMailboxCommand);
      both_ways(**line);
    }
  }
  if (const auto key = jit::key_of_login(bytes)) demand(jit::parse_public_key(key->blob).has_value());
  jit::Visitor visitor;
  visitor.users = {"alice"};
  if (jit::may_see(visitor, bytes)) demand(bytes.find("alice") != std::string_view::npos);
  session(bytes);
  return 0;
}
