// Sources and hosts elsewhere, as tests have them: mailboxes in memory, hosts with a key of their own that sign what
// they say, and a clock that goes on when somebody waits.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "jitctl/parcels.hpp"
#include "jitctl/trust_edit.hpp"
#include "tests/unit/jitctl/fixture.hpp"

namespace jit::ctl {

// What a source holds, and what it does.
struct FakeSource {
  std::map<std::string, std::map<std::string, std::string>> boxes;  // by path, then name
  std::optional<Error> down;                                        // it does not answer, or says no
  std::map<std::string, Error> boxes_down;                          // some of its boxes
  bool takes = true;
  std::function<void(const std::string& box, const std::string& bytes)> on_put = {};
  std::function<void()> on_wait = {};
  std::function<Result<std::string>(const std::string& box, const std::string& name)> on_get = {};
  std::size_t endless = 0;  // so many more names in every listing
  std::size_t gets = 0, lists = 0, waits = 0;
  std::vector<std::string> put_names;
};

class FakeMailbox : public Mailbox {
 public:
  FakeMailbox(FakeSource& source, std::chrono::milliseconds& ticks) : source_(source), ticks_(ticks) {}
  Result<void> list(const Box& box, const Visit& visit) override {
    ++source_.lists;
    if (source_.down) return tl::unexpected(*source_.down);
    if (const auto down = source_.boxes_down.find(box.path()); down != source_.boxes_down.end())
      return tl::unexpected(down->second);
    for (const auto& [name, bytes] : source_.boxes[box.path()]) {
      if (!visit({name, bytes.size(), id_of(sha256(bytes))})) return {};
    }
    for (std::size_t more = 0; more < source_.endless; ++more) {
      if (!visit({"x-" + std::to_string(more) + ".jit", 1, ""})) return {};
    }
    return {};
  }
  Result<std::string> get(const Box& box, const Item& item) override {
    ++source_.gets;
    if (source_.down) return tl::unexpected(*source_.down);
    if (source_.on_get) return source_.on_get(box.path(), item.name);
    const auto& items = source_.boxes[box.path()];
    const auto found = items.find(item.name);
    if (found == items.end()) return fail(Errc::not_found, "gone");
    if (found->second.size() > kMaxDocument) return fail(Errc::invalid, "too large");
    return found->second;
  }
  Result<void> put(const Box& box, const std::string& name, std::string_view bytes, WallTime) override {
    if (source_.down) return tl::unexpected(*source_.down);
    if (!source_.takes) return fail(Errc::refused, "it takes nothing");
    source_.boxes[box.path()][name] = std::string(bytes);
    source_.put_names.push_back(box.path() + "/" + name);
    if (source_.on_put) source_.on_put(box.path(), std::string(bytes));
    return {};
  }
  Result<void> remove(const Box& box, const std::string& name) override {
    if (source_.down) return tl::unexpected(*source_.down);
    source_.boxes[box.path()].erase(name);
    return {};
  }
  Result<void> wait(const std::vector<Box>&, int, std::chrono::milliseconds at_most, bool) override {
    ++source_.waits;
    ticks_ += std::min(at_most, std::chrono::milliseconds(500));
    if (source_.on_wait) source_.on_wait();
    if (source_.down) return tl::unexpected(*source_.down);
    return {};
  }

 private:
  FakeSource& source_;
  std::chrono::milliseconds& ticks_;
};

// A host that is not here.
struct FarHost {
  std::string name = "db1";
  SigningKey key = *SigningKey::generate();
  std::string machine = digest_text(sha256("the machine of db1"));
  std::uint64_t sequence = 0, entry = 100;

  [[nodiscard]] std::string print() const { return fingerprint(key.public_key()); }
  [[nodiscard]] std::string trust_line() const {
    TrustLine line;
    line.principal = name;
    line.key = key.public_key();
    line.namespaces = namespaces_of("hosts");
    return to_text(line);
  }
  [[nodiscard]] Request request(WallTime now) const {
    Request request;
    request.host = name;
    request.host_key = print();
    request.user = "alice";
    request.uid = 1001;
    request.requesters = {{"alice", false}};
    request.role = "dba";
    request.duration = std::chrono::hours(2);
    request.reason = "vacuum stuck";
    request.ticket = "OPS-1";
    request.created = now - std::chrono::minutes(3);
    request.expires = now + std::chrono::hours(23);
    request.origin = "local";
    request.effects = "group postgres gid 114\nsudo as postgres uid 114: /usr/bin/psql ...\n";
    request.policy = digest_text(sha256("policy"));
    request.nonce = make_nonce();
    return request;
  }
  // An event of this kind, to be filled in further; say() gives it its number.
  [[nodiscard]] EventDocument event(std::string what, WallTime at) const {
    EventDocument event;
    event.host = name;
    event.host_key = print();
    event.created = at;
    event.entry = entry;
    event.head = sha256("entry " + std::to_string(entry));
    event.policy = digest_text(sha256("policy"));
    event.machine = machine;
    event.what = std::move(what);
    event.nonce = make_nonce();
    return event;
  }
  [[nodiscard]] std::string sign(const Document& document) const {
    const auto payload = to_payload(document);
    return to_text(Envelope{payload, {*key.sign(payload, kind_namespace(kind_of(document)))}});
  }
  // Posts a request; its digest.
  Digest file(FakeSource& source, const Request& request) const {
    const auto digest = sha256(to_payload(request));
    source.boxes["from/" + name]["r-" + id_of(digest) + ".jit"] = sign(request);
    return digest;
  }
  // Posts the next event.
  void say(FakeSource& source, EventDocument event) {
    event.sequence = ++sequence;
    event.entry = ++entry;
    event.head = sha256("entry " + std::to_string(entry));
    auto number = std::to_string(sequence);
    number.insert(0, 12 - number.size(), '0');
    source.boxes["from/" + name]["e-" + number + ".jit"] = sign(event);
  }
  void alive(FakeSource& source, WallTime at) const {
    auto event = this->event("alive", at);
    event.sequence = sequence;
    source.boxes["from/" + name]["alive.jit"] = sign(event);
  }
  void forget(FakeSource& source, const Digest& request) const {
    source.boxes["from/" + name].erase("r-" + id_of(request) + ".jit");
  }
};

// An approver's machine: no jitd, some sources, some hosts.
class ElsewhereFixture : public Fixture {
 public:
  ElsewhereFixture() {
    context.columns = 300;  // sentences whole
    context.ticks = [this] { return ticks; };
    context.pause = [this](int, std::chrono::milliseconds at_most) {
      ticks += at_most;
      if (on_pause) on_pause();
    };
    context.open_mailbox = [this](const SourceSpec& spec) -> Result<std::unique_ptr<Mailbox>> {
      opened.push_back(spec);
      return std::make_unique<FakeMailbox>(sources[spec.url], ticks);
    };
    std::filesystem::create_directories(root + "/home/.config/jit");
    web1.name = "web1";
    know({&db1, &web1});
  }
  void know(const std::vector<const FarHost*>& hosts) {
    std::string text;
    for (const auto* host : hosts) text += host->trust_line();
    put("home/.config/jit/hosts", text);
  }
  FakeSource& source() { return sources["https://fleet.example"]; }

  // The documents that were put into a box, verified by the approver's key where they are of approvers.
  std::vector<Document> sent_to(const std::string& box) {
    std::vector<Document> documents;
    for (const auto& [name, bytes] : source().boxes[box]) {
      auto parcel = parcel_of(bytes, name);
      if (!parcel) FAIL(parcel.error().message);
      documents.push_back(parcel->document);
    }
    return documents;
  }
  [[nodiscard]] bool out_has(const std::string& text) const { return out.str().find(text) != std::string::npos; }
  [[nodiscard]] bool err_has(const std::string& text) const { return err.str().find(text) != std::string::npos; }

  std::map<std::string, FakeSource> sources;
  std::vector<SourceSpec> opened;
  std::chrono::milliseconds ticks{1000};
  std::function<void()> on_pause = {};
  FarHost db1, web1;
};

inline constexpr const char* kFleet = "https://fleet.example";

}  // namespace jit::ctl
