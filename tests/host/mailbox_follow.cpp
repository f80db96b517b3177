#include "tests/host/mailbox_follow.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <set>
#include <thread>

#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

long long now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void say(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", kind_of(error), error.message.c_str());
}

using Seen = std::set<std::string>;  // "BOX/NAME STAMP"

// False: it may not be read.
bool look(Mailbox& mailbox, const Box& box, Seen& seen, std::ofstream& out) {
  std::vector<Item> fresh;
  const auto listed = mailbox.list(box, [&](const Item& item) {
    if (seen.count(box.path() + "/" + item.name + " " + item.stamp) == 0) fresh.push_back(item);
    return true;
  });
  if (!listed) {
    say(listed.error());
    return listed.error().code != Errc::refused;
  }
  for (const Item& item : fresh) {
    const auto bytes = mailbox.get(box, item);
    if (!bytes) {
      say(bytes.error());
      continue;
    }
    const std::string what = box.path() + "/" + item.name + " " + item.stamp;
    seen.insert(what);
    out << now_us() << " " << what << " " << bytes->substr(0, bytes->find('\n')) << std::endl;
  }
  return true;
}

}  // namespace

const char* kind_of(const Error& error) {
  constexpr std::array<const char*, 6> kinds = {"invalid", "refused", "not_found", "unavailable", "busy", "system"};
  return kinds.at(static_cast<std::size_t>(error.code));
}

int follow(Mailbox& mailbox, const std::vector<Box>& boxes, int seconds, const std::string& file) {
  Seen seen;
  std::ifstream before(file);
  for (std::string line; std::getline(before, line);) {
    const auto words = split(line, ' ');
    if (words.size() >= 3) seen.insert(std::string(words[1]) + " " + std::string(words[2]));
  }
  std::ofstream out(file, std::ios::app);
  const auto until = Steady::now() + std::chrono::seconds(seconds);
  while (Steady::now() < until) {
    const auto waited =
        mailbox.wait(boxes, -1, std::chrono::duration_cast<milliseconds>(until - Steady::now()), false);
    if (!waited) {
      say(waited.error());
      std::this_thread::sleep_for(milliseconds(500));
    }
    for (const Box& box : boxes)
      if (!look(mailbox, box, seen, out)) return 1;
  }
  return 0;
}

int post(Mailbox& mailbox, const std::vector<Box>& boxes, int count, int every) {
  auto next = Steady::now();
  for (int i = 0; i < count; ++i) {
    const Box& box = boxes[static_cast<std::size_t>(i) % boxes.size()];
    const std::string name = "d" + std::to_string(i) + ".jit", path = box.path() + "/" + name;
    const long long began = now_us();
    const auto until =
        std::chrono::time_point_cast<Seconds>(std::chrono::system_clock::now() + std::chrono::hours(1));
    while (true) {
      const auto done = mailbox.put(box, name, path + "\n", until);
      if (done) break;
      say(done.error());
      std::this_thread::sleep_for(milliseconds(200));
    }
    std::printf("%lld %s\n", began, path.c_str());
    std::fflush(stdout);
    next += milliseconds(every);
    std::this_thread::sleep_until(next);
  }
  return 0;
}

}  // namespace jit
