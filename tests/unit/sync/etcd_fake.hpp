// An HTTP that answers what the test says, a clock that stands still, and clients of etcd over both.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <optional>

#include "jitd/sync/etcd_mailbox.hpp"
#include "policy/text.hpp"

namespace jit::etcd_test {

using nlohmann::json;

struct FakeClock final : Clock {
  Instant at{1'800'000'000'000, 1'000'000};
  std::string boot = "00000000-0000-0000-0000-000000000000";
  [[nodiscard]] Instant now() const noexcept override { return at; }
  [[nodiscard]] const std::string& boot_id() const noexcept override { return boot; }
  void pass(std::chrono::milliseconds time) {
    at.wall_ms += time.count();
    at.boot_ms += static_cast<std::uint64_t>(time.count());
  }
};

// What a stream brings, in this order; with nothing left it brings nothing for as long as it is waited for.
struct Step {
  std::optional<std::string> line;
  std::optional<Error> end;
  bool other = false;  // the other descriptor is readable
};

class FakeHttp final : public Http {
 public:
  explicit FakeHttp(FakeClock& clock) : clock_(clock) {}

  // By default nothing answers.
  std::function<Result<HttpResponse>(const HttpRequest&)> answer = [](const HttpRequest&) {
    return Result<HttpResponse>(fail(Errc::unavailable, "nobody there"));
  };
  std::function<Result<std::deque<Step>>(const HttpRequest&)> stream = [](const HttpRequest&) {
    return Result<std::deque<Step>>(fail(Errc::unavailable, "nobody there"));
  };
  std::vector<HttpRequest> asked;   // by perform
  std::vector<HttpRequest> opened;  // by open

  [[nodiscard]] Result<HttpResponse> perform(const HttpRequest& request) override {
    asked.push_back(request);
    auto response = answer(request);
    if (response && response->body.size() > request.max_body) return fail(Errc::invalid, "too large");
    return response;
  }
  [[nodiscard]] Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request) override {
    opened.push_back(request);
    auto steps = stream(request);
    if (!steps) return tl::unexpected(steps.error());
    return std::make_unique<Stream>(clock_, std::move(*steps), request.max_body);
  }

 private:
  class Stream final : public HttpStream {
   public:
    Stream(FakeClock& clock, std::deque<Step> steps, std::size_t max)
        : clock_(clock), steps_(std::move(steps)), max_(max) {}
    [[nodiscard]] Result<void> read(const std::function<bool(std::string_view)>& line, int /*other*/,
                                    std::chrono::milliseconds at_most) override {
      while (!steps_.empty()) {
        Step step = std::move(steps_.front());
        if (step.end) return tl::unexpected(*step.end);  // and again at every call
        steps_.pop_front();
        if (step.other) return {};
        if (step.line->size() > max_) return fail(Errc::invalid, "a line too long");
        if (!line(*step.line)) return {};
      }
      clock_.pass(at_most);
      return {};
    }

   private:
    FakeClock& clock_;
    std::deque<Step> steps_;
    std::size_t max_;
  };
  FakeClock& clock_;
};

inline HttpResponse good(const json& body) {
  return {200, {}, body.dump()};
}
inline HttpResponse bad(int status, int code, const std::string& message) {
  return {status, {}, json({{"error", message}, {"message", message}, {"code", code}}).dump()};
}
inline Step line_of(const json& result) {
  return {json({{"result", result}}).dump(), {}, false};
}
inline Step end_of(const std::string& why) {
  return {{}, Error{Errc::unavailable, why, 0}, false};
}

inline json header(std::uint64_t revision) {
  return {{"cluster_id", "7"}, {"revision", std::to_string(revision)}};
}
inline json entry(const std::string& key, std::uint64_t revision, const std::string& value = {}) {
  json kv = {{"key", to_base64(key)}, {"mod_revision", std::to_string(revision)}, {"lease", "99"}};
  if (!value.empty()) kv["value"] = to_base64(value);
  return kv;
}
inline json asked_of(const HttpRequest& request) {
  return json::parse(request.body);
}
inline std::string path_of(const HttpRequest& request) {
  return request.url.substr(request.url.find('/', 8));
}
inline std::string server_of(const HttpRequest& request) {
  return request.url.substr(0, request.url.find('/', 8));
}

// A mailbox over a fake; three members, no user unless `user`.
struct World {
  FakeClock clock;
  FakeHttp* http = nullptr;
  SourceSpec spec;
  std::unique_ptr<etcd::Client> client;
  std::unique_ptr<Mailbox> box;

  explicit World(const std::string& url = "etcd+https://a:2379,b:2379,c:2379/jit", const std::string& user = {},
                 const std::string& password_file = {}) {
    spec = parse_source_url(url).value();
    spec.user = user;
    spec.password_file = password_file;
    auto owned = std::make_unique<FakeHttp>(clock);
    http = owned.get();
    client = std::make_unique<etcd::Client>(spec, std::move(owned), clock, etcd::Client::Spread{});
  }
  Mailbox& mailbox() {
    if (!box) box = etcd::mailbox_over(std::move(client), clock);
    return *box;
  }
};

inline const Box kToDb1 = Box::to_host("db1").value();
inline const Box kFromDb1 = Box::from_host("db1").value();
inline const Box kToPci = Box::to_segment("pci").value();

struct Listing {
  Result<void> result;
  std::vector<Item> items;
};
inline Listing listing(Mailbox& mailbox, const Box& box) {
  Listing listed;
  listed.result = mailbox.list(box, [&](const Item& item) {
    listed.items.push_back(item);
    return true;
  });
  return listed;
}

}  // namespace jit::etcd_test
