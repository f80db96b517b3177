// A web server in memory: files under their URLs, as good or bad at HTTP as a test wants it.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jitd/sync/http.hpp"

namespace jit::synctest {

struct FakeWeb {
  struct File {
    std::string body;
    unsigned version = 1;
  };
  std::map<std::string, File> files;  // by URL
  std::set<std::string> folders;      // when it wants them made first
  bool wants_folders = false;
  bool heeds_conditions = true;  // of a PUT
  bool takes_puts = true;
  bool knows_ranges = true;
  std::string etag = "strong";          // "weak", "none"
  std::string modified, date;           // headers of every answer; empty: none
  std::size_t break_after = 1U << 30U;  // a body breaks off there
  std::function<void(const HttpRequest&)> before = [](const HttpRequest&) {};
  std::vector<HttpRequest> requests;
  unsigned versions = 1;

  [[nodiscard]] HttpResponse answer(const HttpRequest& request);
  [[nodiscard]] std::size_t count(std::string_view method, std::string_view ending) const {
    std::size_t found = 0;
    for (const auto& one : requests) found += one.method == method && one.url.ends_with(ending) ? 1U : 0U;
    return found;
  }

 private:
  [[nodiscard]] std::string tag(const File& file) const {
    if (etag == "none") return {};
    return (etag == "weak" ? "W/\"v" : "\"v") + std::to_string(file.version) + "\"";
  }
};

inline std::string header_of(const HttpRequest& request, std::string_view name) {
  for (const auto& line : request.headers)
    if (line.starts_with(std::string(name) + ": ")) return line.substr(name.size() + 2);
  return {};
}

inline HttpResponse FakeWeb::answer(const HttpRequest& request) {
  before(request);
  requests.push_back(request);
  const auto found = files.find(request.url);
  const bool there = found != files.end();
  HttpResponse response;
  const auto status = [&](int code) {
    response.status = code;
    return response;
  };
  if (!modified.empty()) response.headers["last-modified"] = modified;
  if (!date.empty()) response.headers["date"] = date;
  if (request.method == "GET") {
    if (!there) return status(404);
    const std::string now = tag(found->second);
    if (!now.empty()) response.headers["etag"] = now;
    if (!now.empty() && header_of(request, "If-None-Match") == now) return status(304);
    response.status = 200;
    response.body = found->second.body;
    const std::string range = header_of(request, "Range");
    if (knows_ranges && !range.empty() && header_of(request, "If-Range") == now) {
      const std::size_t from = std::stoul(range.substr(6));
      if (from >= response.body.size()) return status(416);
      response.headers["content-range"] = "bytes " + std::to_string(from) + "-" +
                                          std::to_string(response.body.size() - 1) + "/" +
                                          std::to_string(response.body.size());
      response.body.erase(0, from);
      response.status = 206;
    }
    if (response.body.size() > break_after) {
      response.body.resize(break_after);
      response.broken = Error{Errc::unavailable, "it broke off", 0};
    }
    return response;
  }
  if (!takes_puts) return status(405);
  const std::string folder = request.url.substr(0, request.url.rfind('/') + 1);
  if (request.method == "MKCOL") {
    const std::string above = request.url.substr(0, request.url.rfind('/', request.url.size() - 2) + 1);
    if (folders.count(above) == 0) return status(409);
    return status(folders.insert(request.url).second ? 201 : 405);
  }
  if (request.method == "DELETE") return status(files.erase(request.url) > 0 ? 204 : 404);
  if (wants_folders && folders.count(folder) == 0) return status(409);
  if (heeds_conditions) {
    const std::string match = header_of(request, "If-Match");
    if (header_of(request, "If-None-Match") == "*" && there) return status(412);
    if (!match.empty() && (!there || match != tag(found->second) || match.starts_with("W/"))) return status(412);
  }
  files[request.url] = {request.body, ++versions};
  return status(there ? 204 : 201);
}

// One mailbox's way to it.
class FakeHttp final : public Http {
 public:
  explicit FakeHttp(FakeWeb& web) : web_(web) {}
  [[nodiscard]] Result<HttpResponse> perform(const HttpRequest& request) override {
    auto response = web_.answer(request);
    if (response.body.size() > request.max_body) return fail(Errc::invalid, "too large");
    if (response.broken && !request.accept_part) return tl::unexpected(*response.broken);
    return response;
  }
  [[nodiscard]] Result<std::unique_ptr<HttpStream>> open(const HttpRequest&) override {
    return fail(Errc::refused, "no streams here");
  }

 private:
  FakeWeb& web_;
};

}  // namespace jit::synctest
