// Talks to the members of an etcd cluster through their JSON gateway: whichever of them works, logged in where the
// cluster wants that.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "jitd/sync/etcd_gateway.hpp"
#include "jitd/sync/http.hpp"
#include "jitd/sys/clock.hpp"
#include "policy/result.hpp"
#include "policy/sources.hpp"

namespace jit::etcd {

// A call may try several members; so long at most, whatever they do, but for the last try.
inline constexpr std::chrono::milliseconds kCallBudget{20000};
// How long one member has: a little more than it takes itself to say that it has no leader.
inline constexpr std::chrono::milliseconds kMemberBudget{8000};

class Client {
 public:
  // By chance, so that a fleet spreads over a cluster and does not come back to it all at once.
  struct Spread {
    std::size_t first = 0;                 // the member to begin with, of spec.servers, any number
    std::chrono::milliseconds pause = {};  // before a watch that the server ended is begun again
  };
  Client(SourceSpec spec, std::unique_ptr<Http> http, const Clock& clock, Spread spread);

  // An answer, or a failure that the caller may do something about: neither "away" nor "login" is one.
  struct Reply {
    Failure failure = {};
    std::string body = {};
    [[nodiscard]] bool good() const { return failure.kind == Failure::Kind::none; }
  };
  // Asks the member that worked last, and the others in turn when it does not now. Logs in when it must. Errors:
  // Errc::unavailable (nobody answers), Errc::refused (none of them is who it should be, or the password is wrong),
  // Errc::invalid (the answer has more than `max_body` bytes, or none comes: the next call begins with the next
  // member).
  [[nodiscard]] Result<Reply> call(const std::string& path, const std::string& body,
                                   std::size_t max_body = std::size_t{1} << 20);
  // The same of the member that works now, and no other.
  [[nodiscard]] Result<Reply> probe(const std::string& path, const std::string& body,
                                    std::chrono::milliseconds total);

  // Begins a watch at the member that works now. It ends when that member has no leader any more.
  [[nodiscard]] Result<std::unique_ptr<HttpStream>> open(const std::string& body, std::size_t max_line);

  // The next call begins with the next member.
  void leave_member() { member_ = (member_ + 1) % spec_.servers.size(); }
  [[nodiscard]] std::size_t members() const { return spec_.servers.size(); }
  [[nodiscard]] std::size_t member() const { return member_; }  // of spec().servers
  [[nodiscard]] const SourceSpec& spec() const { return spec_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] std::chrono::milliseconds pause() const { return pause_; }
  [[nodiscard]] bool logged_in() const { return !token_.empty(); }

 private:
  [[nodiscard]] Result<Reply> ask(const std::string& path, const std::string& body, std::size_t max_body,
                                  std::chrono::milliseconds total);
  [[nodiscard]] Result<Reply> post(const std::string& path, const std::string& body, std::size_t max_body,
                                   std::chrono::milliseconds total);
  [[nodiscard]] Result<Reply> log_in(std::chrono::milliseconds total);
  [[nodiscard]] HttpRequest request(const std::string& path, const std::string& body) const;

  SourceSpec spec_;
  std::unique_ptr<Http> http_;
  const Clock& clock_;
  std::size_t member_;
  std::chrono::milliseconds pause_;
  std::string token_;      // empty: none
  bool no_login_ = false;  // the cluster wants none
};

// A failure for people, with what to do: `what` was tried ("reading to/db1").
[[nodiscard]] Error error_of(const Failure& failure, const std::string& what, const SourceSpec& spec);

// A client of the real network; the clock must outlive it. Errors: a file of the specification cannot be used, or a
// password would be sent without TLS to another machine.
[[nodiscard]] Result<std::unique_ptr<Client>> make_client(const SourceSpec& spec, const Clock& clock);

}  // namespace jit::etcd
