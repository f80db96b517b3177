// A mailbox by hand, for the tests of sources on booted hosts:
//
//   mailbox-tool [--ca F] [--crl F] [--certificate F --key F] [--proxy URL] [--user U --password-file F] URL VERB ...
//
//   list BOX [TIMES]      "STAMP SIZE NAME" each; by one mailbox so many times, said once, the last of which counts
//   get BOX NAME          its bytes
//   put BOX FILE...       under their own names
//   remove BOX NAME
//   wait BOX SECONDS      lists it, says "waiting", and lists it again when there may be news
//   index DIR             (no URL) what jitctl source index does
//   follow SECONDS FILE BOX...        what is new there, as it comes (mailbox_follow.hpp)
//   post COUNT MILLISECONDS BOX...    so many documents, one every so often
//   put_before_hour BOX SECONDS FILE  put what has expired, by a clock that shows so long before a whole hour (etcd's
//   leases end there)
//
// BOX is to/HOST, to/segment/SEGMENT or from/HOST. A failure is "KIND: words" on standard error, status 1.
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "jitd/sync/etcd_mailbox.hpp"
#include "jitd/sync/https_index.hpp"
#include "jitd/sync/mailbox.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"
#include "tests/host/mailbox_follow.hpp"

using namespace jit;

namespace {

int failed(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", kind_of(error), error.message.c_str());
  return 1;
}

Result<Box> box_of(const std::string& path) {
  if (path.starts_with("to/segment/")) return Box::to_segment(path.substr(11));
  if (path.starts_with("to/")) return Box::to_host(path.substr(3));
  return Box::from_host(path.substr(5));
}

int list(Mailbox& mailbox, const Box& box, int times) {
  int status = 0;
  bool said = false;
  for (int i = 0; i < times; ++i) {
    const auto listed = mailbox.list(box, [&](const Item& item) {
      if (!said)
        std::printf("%s %llu %s\n", item.stamp.c_str(), static_cast<unsigned long long>(item.size),
                    item.name.c_str());
      return !said;
    });
    said = said || listed.has_value();
    status = listed ? 0 : failed(listed.error());
  }
  return status;
}

int wait(Mailbox& mailbox, const Box& box, int seconds) {
  if (const int before = list(mailbox, box, 1); before != 0) return before;
  std::puts("waiting");
  std::fflush(stdout);
  const auto done = mailbox.wait({box}, -1, std::chrono::seconds(seconds), true);
  return done ? list(mailbox, box, 1) : failed(done.error());
}

int get(Mailbox& mailbox, const Box& box, const std::string& name) {
  Item wanted;
  const auto listed = mailbox.list(box, [&](const Item& item) {
    if (item.name == name) wanted = item;
    return wanted.name.empty();
  });
  if (!listed) return failed(listed.error());
  const auto bytes = mailbox.get(box, wanted);
  if (!bytes) return failed(bytes.error());
  std::fwrite(bytes->data(), 1, bytes->size(), stdout);
  return 0;
}

int put(Mailbox& mailbox, const Box& box, const std::vector<std::string>& files, WallTime until) {
  for (const auto& file : files) {
    const auto bytes = read_file(file, kMaxDocument);
    if (!bytes) return failed(bytes.error());
    const auto done = mailbox.put(box, file.substr(file.rfind('/') + 1), *bytes, until);
    if (!done) return failed(done.error());
  }
  return 0;
}

int index(const std::string& folder) {
  const auto report = write_index(folder);
  if (!report) return failed(report.error());
  for (const auto& box : report->written) std::printf("%s\n", box.c_str());
  for (const auto& problem : report->problems) std::fprintf(stderr, "%s\n", problem.c_str());
  return 0;
}

// follow and post.
int over_time(Mailbox& mailbox, const std::vector<std::string>& words) {
  std::vector<Box> boxes;
  for (std::size_t i = 4; i < words.size(); ++i) {
    const auto box = box_of(words[i]);
    if (!box) return failed(box.error());
    boxes.push_back(*box);
  }
  if (boxes.empty()) return failed({Errc::invalid, "no box", 0});
  if (words[1] == "follow") return follow(mailbox, boxes, std::stoi(words[2]), words[3]);
  return post(mailbox, boxes, std::stoi(words[2]), std::stoi(words[3]));
}

// The real clock, but for the wall's: what it shows starts so long before a whole hour.
class BeforeHour final : public Clock {
 public:
  explicit BeforeHour(int seconds) : shift_(3600 - seconds - real_.now().wall_ms / 1000 % 3600) {}
  [[nodiscard]] Instant now() const noexcept override {
    Instant now = real_.now();
    now.wall_ms += shift_ * 1000;
    return now;
  }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return real_.boot_id(); }

 private:
  SystemClock real_;
  std::int64_t shift_;
};

int put_before_hour(const SourceSpec& spec, const std::vector<std::string>& words) {
  const BeforeHour clock(std::stoi(words[3]));
  const auto box = box_of(words[2]);
  auto client = etcd::make_client(spec, clock);
  if (!box || !client) return failed(box ? client.error() : box.error());
  return put(*etcd::mailbox_over(std::move(*client), clock), *box, {words[4]},
             clock.now().wall() - std::chrono::hours(1));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  std::map<std::string, std::string> options;
  while (words.size() > 1 && words.front().starts_with("--")) {
    options[words[0]] = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() == 2 && words[0] == "index") return index(words[1]);
  if (words.size() < 3) return failed({Errc::invalid, "usage: see tests/host/mailbox_tool.cpp", 0});
  auto spec = parse_source_url(words[0]);
  if (!spec) return failed(spec.error());
  spec->ca = options["--ca"];
  spec->crl = options["--crl"];
  spec->certificate = options["--certificate"];
  spec->key = options["--key"];
  spec->proxy = options["--proxy"];
  spec->user = options["--user"];
  spec->password_file = options["--password-file"];
  if (words[1] == "put_before_hour" && words.size() == 5) return put_before_hour(*spec, words);
  const auto mailbox = make_mailbox(*spec);
  if (!mailbox) return failed(mailbox.error());
  const bool during = words[1] == "follow" || words[1] == "post";
  if (during) return over_time(**mailbox, words);
  const auto box = box_of(words[2]);
  if (!box) return failed(box.error());
  if (words[1] == "list") return list(**mailbox, *box, words.size() > 3 ? std::stoi(words[3]) : 1);
  if (words[1] == "wait" && words.size() == 4) return wait(**mailbox, *box, std::stoi(words[3]));
  if (words[1] == "get" && words.size() == 4) return get(**mailbox, *box, words[3]);
  if (words[1] == "put") return put(**mailbox, *box, {words.begin() + 3, words.end()}, WallTime::max());
  if (words[1] != "remove" || words.size() != 4) return failed({Errc::invalid, words[1] + ": no such verb", 0});
  const auto removed = (*mailbox)->remove(*box, words[3]);
  return removed ? 0 : failed(removed.error());
}
