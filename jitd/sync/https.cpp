#include "jitd/sync/https.hpp"

#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

using std::chrono::milliseconds;

constexpr Seconds kPoll{15};
constexpr Seconds kEagerPoll{2};
constexpr milliseconds kIndexTime{30000};  // an index may be 4 MiB
// How long a line must stay where conditions are not heeded. Whoever read the index before it was there may still
// write that over it, and another who read it in between may write it back, before a third does: three times as long
// as anybody takes from reading to having written is safe.
constexpr milliseconds kSettle{1250};
constexpr milliseconds kLongestSettle{5000};
constexpr milliseconds kRetry{200};
constexpr milliseconds kEditTime{15000};
constexpr Seconds kOurs{60};  // how long what we wrote last is what is there, in a box that nobody else writes to
// A time of a second's resolution tells nothing of a second change in that second (RFC 9110, 8.8.2.2); neither do the
// ETags that servers make of time and size.
constexpr std::int64_t kSettledSeconds = 2;
constexpr std::size_t kMaxTitle = 100;

// One part of a path, RFC 3986, 2.1.
std::string encoded(std::string_view part) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string text;
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain.find(c) != std::string_view::npos)
      text += c;
    else
      (text += '%').append({kHex[byte >> 4U], kHex[byte & 15U]});
  }
  return text;
}

const std::string& header(const HttpResponse& response, const char* name) {
  static const std::string none;
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? none : found->second;
}

bool strong(const std::string& etag) {
  return etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"');
}

bool gone(int status) {
  return status == 404 || status == 410;
}

bool done(int status) {
  return status == 200 || status == 201 || status == 202 || status == 204;
}

// What the page of an error is called: servers say there what they have against us.
std::string title(const std::string& body) {
  const auto from = body.find("<title>");
  if (from == std::string::npos) return {};
  const auto text = std::string_view(body).substr(from + 7);
  return " (" + shown(text.substr(0, text.find("</title>")), kMaxTitle) + ")";
}

// What a host says it alone posts; to it, anybody.
bool shared(const Box& box) {
  return box.kind() != Box::Kind::from_host;
}

enum class Doing : bool { reading, posting };

// A status that is none of those that we know what to do with.
Error unwanted(const std::string& url, const HttpResponse& response, Doing doing) {
  const int status = response.status;
  const std::string what = shown(url, 400) + ": status " + std::to_string(status) + title(response.body);
  const bool posting = doing == Doing::posting;
  if (posting && (status == 405 || status == 501))
    return {Errc::refused, what + ": it takes no files by PUT and DELETE; allow them there, or post elsewhere", 0};
  if (status == 401)
    return {Errc::refused,
            what +
                ": it wants to know who we are: \"user\" and \"password_file\", or \"certificate\" "
                "and \"key\"",
            0};
  if (status == 403)
    return {Errc::refused, what + (posting ? ": it lets us post nothing" : ": it lets us read nothing"), 0};
  const bool passing = status == 408 || status == 423 || status == 425 || status == 429 || status >= 500;
  return {passing ? Errc::unavailable : Errc::refused, what, 0};
}

}  // namespace

Pace Pace::real() {
  Pace pace;
  pace.now = [] { return std::chrono::steady_clock::now(); };
  pace.sleep = [](milliseconds time) { (void)::poll(nullptr, 0, static_cast<int>(time.count())); };
  if (::getrandom(&pace.seed, sizeof pace.seed, 0) < 0) pace.seed = 1;
  return pace;
}

HttpsMailbox::HttpsMailbox(SourceSpec spec, std::unique_ptr<Http> http, Pace pace)
    : spec_(std::move(spec)), http_(std::move(http)), pace_(std::move(pace)), random_(pace_.seed) {}

milliseconds HttpsMailbox::jittered(milliseconds about, double by) {
  std::uniform_real_distribution<double> factor(1.0 - by, 1.0 + by);
  return milliseconds(static_cast<milliseconds::rep>(static_cast<double>(about.count()) * factor(random_)));
}

std::string HttpsMailbox::url(const Box& box, std::string_view name) const {
  std::string text = spec_.servers.front();
  const std::string path = box.path();
  for (const std::string_view part : split(path, '/')) (text += '/') += encoded(part);
  return (text += '/') += encoded(name);
}

Result<void> HttpsMailbox::refresh(const Box& box) {
  Known& known = known_[box];
  HttpRequest request;
  request.url = url(box, kIndexName);
  request.headers = {"Cache-Control: no-cache"};
  request.max_body = kMaxIndex - known.part.size();
  request.total = kIndexTime;
  request.accept_part = true;
  if (!known.part.empty()) {
    request.headers.push_back("Range: bytes=" + std::to_string(known.part.size()) + "-");
    request.headers.push_back("If-Range: " + known.part_etag);
  } else {
    if (!known.etag.empty()) request.headers.push_back("If-None-Match: " + known.etag);
    if (!known.modified.empty()) request.headers.push_back("If-Modified-Since: " + known.modified);
  }
  auto response = http_->perform(request);
  if (!response) return tl::unexpected(response.error());
  return take_index(box, std::move(*response));
}

Result<void> HttpsMailbox::take_index(const Box& box, HttpResponse response) {
  Known& known = known_[box];
  const std::string part = std::exchange(known.part, {});
  if (response.status == 304 && part.empty() && (!known.etag.empty() || !known.modified.empty())) return {};
  if (gone(response.status)) {
    known = Known{};
    return {};
  }
  const std::string where = shown(url(box, kIndexName), 400);
  const bool rest = response.status == 206 && !part.empty() &&
                    header(response, "content-range").starts_with("bytes " + std::to_string(part.size()) + "-");
  if (response.status == 206 || response.status == 416) {
    if (!rest) return fail(Errc::unavailable, where + ": its rest was asked for, and something else came");
    response.body.insert(0, part);
  } else if (response.status != 200) {
    return tl::unexpected(unwanted(where, response, Doing::reading));
  }
  const std::string& etag = rest ? known.part_etag : header(response, "etag");
  if (response.broken) {
    if (strong(etag) && response.body.size() < kMaxIndex) {
      known.part_etag = etag;
      known.part = std::move(response.body);
    }
    return tl::unexpected(std::move(*response.broken));
  }
  auto items = parse_index(response.body);
  if (!items) return within(where, items.error());
  const std::string& modified = header(response, "last-modified");
  const auto changed = http_date(modified), now = http_date(header(response, "date"));
  const bool settled = changed && now && *now - *changed >= kSettledSeconds;
  Known fresh;
  fresh.items = std::make_shared<const std::vector<Item>>(std::move(*items));
  fresh.there = true;
  if (strong(etag)) fresh.match = etag;
  if (settled || modified.empty()) fresh.etag = etag;
  if (settled) fresh.modified = modified;
  known = std::move(fresh);
  return {};
}

Result<void> HttpsMailbox::list(const Box& box, const Visit& visit) {
  auto refreshed = refresh(box);
  listed_ = pace_.now();
  if (!refreshed) return refreshed;
  const Items items = known_[box].items;  // what `visit` does may change the box
  for (const Item& item : *items)
    if (!visit(item)) break;
  return {};
}

Result<std::string> HttpsMailbox::get(const Box& box, const Item& item) {
  if (!index_name(item.name)) return fail(Errc::invalid, shown(item.name, 255) + ": no document's name");
  HttpRequest request;
  request.url = url(box, item.name);
  request.headers = {"Cache-Control: no-cache"};
  request.max_body = kMaxDocument;
  const std::string where = shown(request.url, 400);
  if (item.size > kMaxDocument)
    return fail(Errc::invalid, where + " is larger than " + std::to_string(kMaxDocument) + " bytes");
  auto response = http_->perform(request);
  if (!response) return fail(Errc::unavailable, response.error().message);
  if (gone(response->status)) return fail(Errc::not_found, where + " is gone");
  if (response->status != 200) {
    Error error = unwanted(where, *response, Doing::reading);
    if (error.code == Errc::refused) error.code = Errc::not_found;
    return tl::unexpected(std::move(error));
  }
  const Item found = index_item(item.name, response->body);
  if (found.size != item.size || found.stamp != item.stamp)
    return fail(Errc::not_found, where + " is not what its index speaks of: it was replaced, or a cache is late");
  return std::move(response->body);
}

Result<void> HttpsMailbox::make_folders(const Box& box) {
  std::string folder = spec_.servers.front();
  const std::string path = box.path();
  for (const std::string_view part : split(path, '/')) {
    (folder += '/') += encoded(part);
    HttpRequest request;
    request.method = "MKCOL";  // RFC 4918, 9.3
    request.url = folder + "/";
    // One that is there is 405: whether it went well shows when the file is put again.
    if (auto response = http_->perform(request); !response) return tl::unexpected(response.error());
  }
  return {};
}

Result<HttpResponse> HttpsMailbox::send(const Box& box, HttpRequest request) {
  auto response = http_->perform(request);
  // A WebDAV server wants the folder first (RFC 4918, 9.7.1); others make it.
  if (!response || (response->status != 409 && response->status != 404)) return response;
  if (auto made = make_folders(box); !made) return tl::unexpected(made.error());
  return http_->perform(request);
}

Result<bool> HttpsMailbox::write_index_of(const Box& box, std::vector<Item> items) {
  auto text = index_text(items);
  if (!text) return tl::unexpected(text.error());
  Known& known = known_[box];
  HttpRequest request;
  request.method = "PUT";
  request.url = url(box, kIndexName);
  request.body = std::move(*text);
  request.total = kIndexTime;
  if (!known.there)
    request.headers = {"If-None-Match: *"};
  else if (!known.match.empty())
    request.headers = {"If-Match: " + known.match};
  auto response = send(box, request);
  known = Known{};
  if (!response) return tl::unexpected(response.error());
  if (response->status == 412 || response->status == 409) return false;
  if (!done(response->status)) return tl::unexpected(unwanted(request.url, *response, Doing::posting));
  known.there = true;
  known.items = std::make_shared<const std::vector<Item>>(std::move(items));
  if (const std::string& etag = header(*response, "etag"); strong(etag)) known.match = etag;
  known.ours_until = pace_.now() + kOurs;
  return true;
}

Result<void> HttpsMailbox::edit(const Box& box, const Change& change, bool settle) {
  const auto until = pace_.now() + kEditTime;
  for (milliseconds pause = kRetry;;) {
    const auto began = pace_.now();
    if (shared(box) || began >= known_[box].ours_until) {
      if (auto refreshed = refresh(box); !refreshed) return refreshed;
    }
    auto items = *known_[box].items;
    if (!change(items)) return {};
    if (pace_.now() >= until)
      return fail(Errc::busy, shown(url(box, kIndexName), 400) +
                                  ": others write it all the time, and our line does not stay; try again later");
    auto wrote = write_index_of(box, std::move(items));
    if (!wrote) return tl::unexpected(wrote.error());
    if (*wrote && !settle) return {};
    if (*wrote) {
      const auto took = std::chrono::ceil<milliseconds>(pace_.now() - began);
      pace_.sleep(jittered(std::clamp(3 * took, kSettle, kLongestSettle), 0.2));
    } else {
      pace_.sleep(jittered(pause, 0.9));
      pause = std::min(2 * pause, kSettle);
    }
  }
}

Result<void> HttpsMailbox::put(const Box& box, const std::string& name, std::string_view bytes, WallTime /*until*/) {
  if (!index_name(name)) return fail(Errc::invalid, shown(name, 255) + ": no document's name");
  if (bytes.size() > kMaxDocument)
    return fail(Errc::invalid, shown(name, 255) + " is larger than " + std::to_string(kMaxDocument) + " bytes");
  HttpRequest request;
  request.method = "PUT";
  request.url = url(box, name);
  request.body = std::string(bytes);
  auto response = send(box, request);
  if (!response) return tl::unexpected(response.error());
  if (!done(response->status)) return tl::unexpected(unwanted(request.url, *response, Doing::posting));
  const Item item = index_item(name, bytes);
  return edit(
      box, [&](std::vector<Item>& items) { return put_item(items, item); }, shared(box));
}

Result<void> HttpsMailbox::remove(const Box& box, const std::string& name) {
  if (!index_name(name)) return fail(Errc::invalid, shown(name, 255) + ": no document's name");
  auto edited = edit(
      box, [&](std::vector<Item>& items) { return remove_item(items, name); }, false);
  if (!edited) return edited;
  HttpRequest request;
  request.method = "DELETE";
  request.url = url(box, name);
  auto response = http_->perform(request);
  if (!response) return tl::unexpected(response.error());
  if (!done(response->status) && !gone(response->status))
    return tl::unexpected(unwanted(request.url, *response, Doing::posting));
  return {};
}

Result<void> HttpsMailbox::wait(const std::vector<Box>& /*boxes*/, int other, milliseconds at_most, bool eager) {
  if (!listed_) return {};
  const Seconds usual = spec_.poll.count() > 0 ? spec_.poll : kPoll;
  const auto next = *listed_ + jittered(eager ? std::min(usual, kEagerPoll) : usual, 0.1);
  const auto left = std::chrono::ceil<milliseconds>(next - pace_.now());
  const auto time = std::clamp(std::min(left, at_most), milliseconds(0), milliseconds(std::chrono::hours(1)));
  pollfd entry{other, POLLIN, 0};  // -1 is passed over
  (void)::poll(&entry, 1, static_cast<int>(time.count()));
  return {};
}

Result<std::unique_ptr<Mailbox>> make_https_mailbox(const SourceSpec& spec) {
  auto http = Http::make(spec);
  if (!http) return tl::unexpected(http.error());
  return std::make_unique<HttpsMailbox>(spec, std::move(*http));
}

}  // namespace jit
