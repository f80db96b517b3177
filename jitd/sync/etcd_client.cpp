#include "jitd/sync/etcd_client.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "jitd/sync/source_files.hpp"
#include "policy/text.hpp"

namespace jit::etcd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnect{3000}, kLongestPause{2000};

// Of what several members said, each thing once.
std::string together(const std::vector<std::string>& problems) {
  std::string text;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const auto before = problems.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(problems.begin(), before, problems[i]) != before) continue;
    text += (text.empty() ? "" : "; ") + problems[i];
  }
  return text;
}

}  // namespace

Client::Client(SourceSpec spec, std::unique_ptr<Http> http, const Clock& clock, Spread spread)
    : spec_(std::move(spec)),
      http_(std::move(http)),
      clock_(clock),
      member_(spread.first % spec_.servers.size()),
      pause_(spread.pause) {}

HttpRequest Client::request(const std::string& path, const std::string& body) const {
  HttpRequest request;
  request.method = "POST";
  request.url = spec_.servers[member_] + path;
  request.headers = {"Content-Type: application/json"};
  if (!token_.empty()) request.headers.push_back("Authorization: " + token_);
  request.body = body;
  request.connect = kConnect;
  request.total = kMemberBudget;
  return request;
}

Result<Client::Reply> Client::post(const std::string& path, const std::string& body, std::size_t max_body,
                                   milliseconds total) {
  HttpRequest asked = request(path, body);
  asked.max_body = max_body;
  asked.total = total;
  asked.connect = std::min(asked.connect, total);
  auto response = http_->perform(asked);
  if (!response) return tl::unexpected(response.error());
  if (response->status == 200) return Reply{{}, std::move(response->body)};
  return Reply{read_failure(response->status, response->body), {}};
}

Result<Client::Reply> Client::log_in(milliseconds total) {
  // Read each time: a new password counts without a restart.
  const auto password = read_password_file(spec_.password_file);
  if (!password) return fail(Errc::invalid, password.error().message);
  token_.clear();
  auto reply = post("/v3/auth/authenticate", words_question({{"name", spec_.user}, {"password", *password}}),
                    std::size_t{1} << 16, total);
  if (!reply) return reply;
  no_login_ = reply->failure.kind == Failure::Kind::auth_off;
  if (no_login_) return Reply{};
  if (!reply->good()) return reply;
  auto token = read_token(reply->body);
  if (!token) return tl::unexpected(token.error());
  token_ = std::move(*token);
  return Reply{};
}

Result<Client::Reply> Client::ask(const std::string& path, const std::string& body, std::size_t max_body,
                                  milliseconds total) {
  for (const bool again : {false, true}) {
    if (!spec_.user.empty() && token_.empty() && !no_login_) {
      auto in = log_in(total);
      if (!in || !in->good()) return in;
    }
    auto reply = post(path, body, max_body, total);
    if (!reply || reply->failure.kind != Failure::Kind::login || spec_.user.empty() || again) return reply;
    token_.clear();
    no_login_ = false;
  }
  return Reply{};  // not reached
}

Result<Client::Reply> Client::call(const std::string& path, const std::string& body, std::size_t max_body) {
  const auto started = clock_.now().boot_ms;
  std::vector<std::string> problems;
  bool refused = true;
  for (std::size_t tried = 0; tried < members(); ++tried) {
    const milliseconds used(clock_.now().boot_ms - started);
    if (used >= kCallBudget) break;
    auto reply = ask(path, body, max_body, std::min(kMemberBudget, kCallBudget - used));
    if (reply && reply->failure.kind == Failure::Kind::login)
      return tl::unexpected(error_of(reply->failure, "answer", spec_));
    if (reply && reply->failure.kind != Failure::Kind::away) return reply;
    const bool passing = reply || reply.error().code == Errc::unavailable;
    problems.push_back(reply ? spec_.servers[member_] + ": " + reply->failure.message : reply.error().message);
    leave_member();
    if (!passing && reply.error().code != Errc::refused) return reply;
    refused = refused && !passing;
  }
  return fail(refused ? Errc::refused : Errc::unavailable, together(problems));
}

Result<Client::Reply> Client::probe(const std::string& path, const std::string& body, milliseconds total) {
  return ask(path, body, std::size_t{1} << 20, total);
}

Result<std::unique_ptr<HttpStream>> Client::open(const std::string& body, std::size_t max_line) {
  if (!spec_.user.empty() && token_.empty() && !no_login_) {
    auto in = log_in(kMemberBudget);
    if (!in) return tl::unexpected(in.error());
    if (!in->good()) return tl::unexpected(error_of(in->failure, "answer", spec_));
  }
  HttpRequest asked = request("/v3/watch", body);
  asked.max_body = max_line;
  asked.headers.emplace_back("Grpc-Metadata-hasleader: true");
  return http_->open(asked);
}

Error error_of(const Failure& failure, const std::string& what, const SourceSpec& spec) {
  using Kind = Failure::Kind;
  const std::string who = spec.user.empty() ? "" : " for user \"" + shown(spec.user, 256) + "\"";
  switch (failure.kind) {
    case Kind::denied:
      return {Errc::refused,
              "etcd does not let us " + what + who + ": jitctl source init gives a user what it needs there", 0};
    case Kind::password:
      return {Errc::refused,
              "etcd knows no user \"" + shown(spec.user, 256) + "\" with the password in " +
                  shown(spec.password_file, 256) + ": jitctl source init --new-password makes another",
              0};
    case Kind::login:
      if (spec.user.empty())
        return {Errc::refused, "etcd wants to know who asks: set user and password_file of this source", 0};
      return {Errc::refused,
              "etcd does not take the token that it has just given" + who + " (" + failure.message +
                  "): where it gives JWTs, compare the clocks of its members",
              0};
    case Kind::certificate:
      return {Errc::refused,
              "etcd's JSON gateway takes no client certificate with a common name (CN): use one whose subject is, "
              "say, an organization (O) alone, with a user and password beside it",
              0};
    case Kind::not_etcd:
      return {Errc::invalid, "no JSON gateway of etcd 3.4 or later there: " + failure.message, 0};
    case Kind::away:
      return {Errc::unavailable, failure.message, 0};
    case Kind::missing:
    case Kind::no_lease:
      return {Errc::not_found, "etcd cannot " + what + ": " + failure.message, 0};
    default:
      return {Errc::refused, "etcd cannot " + what + ": " + failure.message, 0};
  }
}

Result<std::unique_ptr<Client>> make_client(const SourceSpec& spec, const Clock& clock) {
  if (spec.type != SourceSpec::Type::etcd || spec.servers.empty())
    return fail(Errc::invalid, "\"" + shown(spec.url, 200) + "\" is no etcd source");
  if (spec.user.empty() != spec.password_file.empty())
    return fail(Errc::invalid, "user and password_file go together");
  auto http = Http::make(spec);
  if (!http) return tl::unexpected(http.error());
  std::array<unsigned char, 2> any{};
  if (RAND_bytes(any.data(), static_cast<int>(any.size())) != 1) any = {};
  const Client::Spread spread{any[0], milliseconds(any[1] * kLongestPause.count() / 255)};
  return std::make_unique<Client>(spec, std::move(*http), clock, spread);
}

}  // namespace jit::etcd
