// A cluster in memory that loses members, answers, connections and its history while documents are put: none is lost,
// none is seen twice.
#include <rapidcheck.h>

#include <map>
#include <set>

#include "tests/unit/catch.hpp"
#include "tests/unit/sync/etcd_fake.hpp"

using namespace jit;
using namespace jit::etcd_test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::string decoded(const json& object, const char* name) {
  return object.contains(name) ? from_base64(object.at(name).get<std::string>()).value() : std::string();
}
std::uint64_t number(const json& object, const char* name) {
  return object.contains(name) ? std::stoull(object.at(name).get<std::string>()) : 0;
}

class Cluster {
 public:
  explicit Cluster(FakeClock& clock) : clock_(clock) {}

  std::set<std::string> down;    // members: connections break and are refused
  std::set<std::string> silent;  // members: nothing comes from them any more
  bool lose_next_answer = false;

  struct Stored {
    std::string value;
    std::uint64_t revision = 0, lease = 0;
  };
  std::map<std::string, Stored> keys;
  std::vector<std::pair<std::string, std::uint64_t>> puts;  // every one there was

  void put(const std::string& key, const std::string& value, std::uint64_t lease = 7) {
    keys[key] = {value, ++revision_, lease};
    history_.push_back({key, revision_, false});
    puts.emplace_back(key, revision_);
  }
  void erase(const std::string& key) {
    if (keys.erase(key) > 0) history_.push_back({key, ++revision_, true});
  }
  void compact() { compacted_ = revision_; }

  Result<HttpResponse> answer(const HttpRequest& request) {
    const std::string server = server_of(request);
    if (down.count(server) > 0) return fail(Errc::unavailable, "refused");
    if (silent.count(server) > 0) {
      clock_.pass(request.total);
      return fail(Errc::unavailable, "timed out");
    }
    const json asked = asked_of(request);
    Result<HttpResponse> response = act(path_of(request), asked);
    if (std::exchange(lose_next_answer, false)) return fail(Errc::unavailable, "broken off");
    return response;
  }

  struct Watch {
    std::string first, end;
    std::uint64_t next = 0;
    std::int64_t id = 0;
    bool without_deletes = false, created = false;
  };
  // One line of what this watch has to tell, if anything.
  std::optional<std::string> tell(Watch& watch) {
    const auto result = [&](json fields) {
      fields["header"] = header(revision_);
      fields["watch_id"] = std::to_string(watch.id);
      return json({{"result", fields}}).dump();
    };
    if (!std::exchange(watch.created, true)) return result({{"created", true}});
    if (watch.next == 0) return std::nullopt;
    if (watch.next <= compacted_ && watch.next <= revision_) {
      const std::string line = result({{"canceled", true}, {"compact_revision", std::to_string(compacted_)}});
      watch.next = 0;
      return line;
    }
    for (const auto& event : history_) {
      if (event.revision < watch.next || event.key < watch.first || event.key >= watch.end) continue;
      if (event.gone && watch.without_deletes) continue;
      watch.next = event.revision + 1;
      json change = {{"kv", entry(event.key, event.revision)}};
      if (event.gone) change["type"] = "DELETE";
      return result({{"events", json::array({change})}});
    }
    watch.next = std::max(watch.next, revision_ + 1);
    return std::nullopt;
  }

 private:
  struct Event {
    std::string key;
    std::uint64_t revision;
    bool gone;
  };
  Result<HttpResponse> act(const std::string& path, const json& asked) {
    if (path == "/v3/lease/grant") return good({{"header", header(revision_)}, {"ID", "7"}});
    if (path == "/v3/kv/txn") {
      const json put_of = asked.at("failure").at(0).at("request_put");
      const std::string key = decoded(put_of, "key"), value = decoded(put_of, "value");
      const auto there = keys.find(key);
      const bool same =
          there != keys.end() && there->second.value == value && there->second.lease == number(put_of, "lease");
      if (!same) put(key, value, number(put_of, "lease"));
      return good({{"header", header(revision_)}, {"succeeded", same}});
    }
    if (path == "/v3/kv/deleterange") {
      erase(decoded(asked, "key"));
      return good({{"header", header(revision_)}});
    }
    const std::uint64_t at = number(asked, "revision");
    if (at > 0 && at < compacted_) return bad(400, 11, "etcdserver: mvcc: required revision has been compacted");
    const std::string first = decoded(asked, "key"), end = decoded(asked, "range_end");
    json found = json::array();
    // A page has two: several are needed.
    bool more = false;
    for (const auto& [key, stored] : keys) {
      const bool inside = end.empty() ? key == first : key >= first && key < end;
      if (!inside || stored.revision < number(asked, "min_mod_revision")) continue;
      if (at > 0 && stored.revision > at) continue;  // what it was before is not kept
      if (found.size() == 2) more = true;
      if (more) continue;
      found.push_back(entry(key, stored.revision, asked.contains("keys_only") ? "" : stored.value));
      found.back()["lease"] = std::to_string(stored.lease);
    }
    return good({{"header", header(revision_)}, {"kvs", found}, {"more", more}});
  }

  FakeClock& clock_;
  std::vector<Event> history_;
  std::uint64_t revision_ = 1, compacted_ = 0;
};

class ClusterHttp final : public Http {
 public:
  ClusterHttp(Cluster& cluster, FakeClock& clock) : cluster_(cluster), clock_(clock) {}
  [[nodiscard]] Result<HttpResponse> perform(const HttpRequest& request) override { return cluster_.answer(request); }
  [[nodiscard]] Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) override {
    const std::string server = server_of(request);
    if (cluster_.down.count(server) > 0) return fail(Errc::unavailable, "refused");
    if (cluster_.silent.count(server) > 0) {
      clock_.pass(request.total);
      return fail(Errc::unavailable, "timed out");
    }
    std::vector<Cluster::Watch> watches;
    for (const std::string_view line : split(request.body, '\n')) {
      if (line.empty()) continue;
      const json create = json::parse(line).at("create_request");
      watches.push_back({decoded(create, "key"), decoded(create, "range_end"), number(create, "start_revision"),
                         static_cast<std::int64_t>(number(create, "watch_id")), create.contains("filters"), false});
    }
    return std::make_unique<Stream>(cluster_, clock_, server, std::move(watches));
  }

 private:
  class Stream final : public HttpStream {
   public:
    Stream(Cluster& cluster, FakeClock& clock, std::string server, std::vector<Cluster::Watch> watches)
        : cluster_(cluster), clock_(clock), server_(std::move(server)), watches_(std::move(watches)) {}
    [[nodiscard]] Result<void> read(const std::function<bool(std::string_view)>& line, int /*other*/,
                                    milliseconds at_most) override {
      broken_ = broken_ || cluster_.down.count(server_) > 0;
      if (broken_) return fail(Errc::unavailable, "broken");
      for (auto& watch : watches_) {
        while (cluster_.silent.count(server_) == 0) {
          const auto told = cluster_.tell(watch);
          if (!told) break;
          if (!line(*told)) return {};
        }
      }
      clock_.pass(at_most);
      return {};
    }

   private:
    Cluster& cluster_;
    FakeClock& clock_;
    std::string server_;
    std::vector<Cluster::Watch> watches_;
    bool broken_ = false;
  };
  Cluster& cluster_;
  FakeClock& clock_;
};

const std::vector<std::string> kMembers = {"https://a:2379", "https://b:2379", "https://c:2379"};

// A host: what it saw, by key and stamp, and how often.
struct Reader {
  std::unique_ptr<Mailbox> mailbox;
  std::vector<Box> boxes = {kToDb1, kToPci};
  std::map<std::pair<std::string, std::string>, unsigned> seen;

  void look() {
    for (const Box& box : boxes) {
      std::vector<Item> fresh;
      const auto listed = mailbox->list(box, [&](const Item& item) {
        if (seen.count({box.path() + "/" + item.name, item.stamp}) == 0) fresh.push_back(item);
        return true;
      });
      if (!listed) continue;
      for (const Item& item : fresh)
        if (mailbox->get(box, item)) ++seen[{box.path() + "/" + item.name, item.stamp}];
    }
  }
  // As the courier does: waits for news, and looks.
  bool step(milliseconds at_most) {
    const bool told = mailbox->wait(boxes, -1, at_most, false).has_value();
    look();
    return told;
  }
};

}  // namespace

TEST_CASE("etcd: while members, connections, answers and history are lost, no document is lost or seen twice",
          "[sync][etcd]") {
  CHECK(rc::check([] {
    FakeClock clock;
    Cluster cluster(clock);
    const auto spec = parse_source_url("etcd+https://a:2379,b:2379,c:2379/jit").value();
    const auto mailbox = [&](std::size_t first) {
      return etcd::mailbox_over(std::make_unique<etcd::Client>(spec, std::make_unique<ClusterHttp>(cluster, clock),
                                                               clock, etcd::Client::Spread{first, {}}),
                                clock);
    };
    Reader reader{mailbox(0), {kToDb1, kToPci}, {}};
    const auto writer = mailbox(1);
    unsigned documents = 0;
    const auto ops = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
    const auto who = [&](std::size_t op) { return kMembers[op % kMembers.size()]; };
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const std::string name = "d" + std::to_string(documents) + ".jit";
      const Box& box = i % 2 == 0 ? kToDb1 : kToPci;
      switch (ops[i]) {
        case 0:
        case 1:
        case 2:
          cluster.put("jit/" + box.path() + "/" + name, "text " + name);
          ++documents;
          break;
        case 3:
        case 4: {
          // Said again until it is there, as a courier does.
          cluster.lose_next_answer = ops[i] == 4;
          for (int tries = 0; tries < 3; ++tries) {
            if (writer->put(box, name, "text " + name, clock.at.wall() + seconds(600))) break;
          }
          ++documents;
          break;
        }
        case 5:
          cluster.compact();
          break;
        case 6:
          cluster.down.insert(who(i));
          break;
        case 7:
          cluster.silent.insert(who(i));
          break;
        case 8:
          cluster.down.clear();
          cluster.silent.clear();
          break;
        case 9:
          (void)reader.step(seconds(1));
          break;
        case 10:
          (void)reader.step(seconds(60));
          break;
        default:
          if (!cluster.keys.empty()) cluster.put("jit/" + box.path() + "/d0.jit", "again " + std::to_string(i));
      }
    }
    cluster.down.clear();
    cluster.silent.clear();
    // A connection that hangs is noticed; then all is told.
    const auto from = clock.at.boot_ms;
    bool quiet = false;
    for (int tries = 0; tries < 20 && !quiet; ++tries) {
      const auto before = clock.at.boot_ms;
      quiet = reader.step(seconds(60)) && clock.at.boot_ms - before >= 60000;
      RC_ASSERT(quiet || clock.at.boot_ms - from < 60000);
    }
    RC_ASSERT(quiet);
    for (const auto& [key, stored] : cluster.keys) {
      const auto stamp = std::to_string(stored.revision) + "." + std::to_string(stored.lease);
      RC_ASSERT(reader.seen.count({key.substr(4), stamp}) == 1);
    }
    for (const auto& [what, times] : reader.seen) RC_ASSERT(times == 1U);
    // What was put once is one change, however often it was said.
    std::map<std::string, unsigned> put;
    for (const auto& [key, revision] : cluster.puts)
      if (!key.ends_with("/d0.jit")) RC_ASSERT(++put[key] == 1U);
  }));
}
