// Hosts that are elsewhere: those of the hosts file, through the mailboxes of the sources that were named. Nothing
// that a source says is believed; reading is bounded in number, size and time, whatever it does, and what was passed
// over is said once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jitctl/approver_config.hpp"
#include "jitctl/command.hpp"
#include "jitctl/context.hpp"
#include "jitctl/sight.hpp"

namespace jit::ctl {

// --source and what goes with it.
struct SourceOptions {
  std::vector<std::string> names;  // as they were given
  std::string wait;                // how long for an answer; empty: the command's own default
  bool no_wait = false;
  std::string hosts;  // trust file; empty: the usual ones

  // nullopt: until it is decided.
  [[nodiscard]] Result<std::optional<Seconds>> patience(std::optional<Seconds> otherwise) const;
};
void add_source_option(Command& command, SourceOptions& options);
// --wait and --no-wait besides.
void add_wait_options(Command& command, SourceOptions& options);

// Whether a command speaks with hosts elsewhere instead of the local jitd: a source was named; or none was, there is
// no jitd on this machine, and approver.toml has a default.
[[nodiscard]] Result<bool> goes_elsewhere(const Context& context, const SourceOptions& options);

// How much of a box is to be read.
struct Need {
  bool requests = false;
  std::size_t events = 0;         // at most so many, the newest first
  std::optional<WallTime> since;  // and none that is older, but for one
  bool of_requests = false;       // and none that is older than the oldest request that waits; without one, one
};

// All that waits, and what was said of it since it was filed.
inline const Need kWaiting{true, 1024, {}, true};

class Elsewhere {
 public:
  // Errors: no source is named and none is the default, one is not known, no hosts file can be read.
  [[nodiscard]] static Result<Elsewhere> open(Context& context, const SourceOptions& options);

  // Every host of the hosts file, by name.
  [[nodiscard]] const std::vector<std::string>& hosts() const { return hosts_; }
  [[nodiscard]] bool knows(const std::string& host) const { return trust_.contains(host); }
  // The lines of one host.
  [[nodiscard]] const TrustFile& trust(const std::string& host) const { return trust_.at(host); }
  [[nodiscard]] std::string names() const;  // of the sources, for people

  // Reads the boxes of these hosts. A source that fails is said once, and keeps what it gave before; an error when
  // all fail.
  [[nodiscard]] Result<void> look(const std::vector<std::string>& hosts, const Need& need);
  // What was read of it by now, from all sources.
  [[nodiscard]] HostSight sight(const std::string& host) const;
  // Whether some source could be asked about this host when we looked last.
  [[nodiscard]] bool read(const std::string& host) const { return read_.contains(host); }

  // Into every source that takes it. An error: none did.
  [[nodiscard]] Result<void> put(const Box& box, const std::string& name, std::string_view bytes, WallTime until);

  // Until something in from/HOST of these may be new, `other` is readable, or so long.
  void wait(const std::vector<std::string>& hosts, int other, std::chrono::milliseconds at_most);

  // Says what could not be verified or was passed over, if it was not said before.
  void say_what_was_passed_over();

  // One source, for whoever goes through its boxes on their own.
  struct Source {
    SourceSpec spec;
    std::unique_ptr<Mailbox> mailbox;
  };
  [[nodiscard]] std::vector<Source>& sources() { return sources_; }

 private:
  // Something in a box that was fetched.
  struct Looked {
    std::string stamp;
    std::optional<SeenRequest> request;
    std::optional<SeenEvent> event;
    std::optional<Unseen> unseen;
  };
  struct BoxSight {
    std::map<std::string, Looked> items;  // by name
    bool more = false;                    // than is looked at
  };

  explicit Elsewhere(Context& context) : context_(&context) {}
  [[nodiscard]] Result<void> read_box(Source& source, const std::string& host, const Need& need, BoxSight& box);
  void complain_once(const std::string& what);

  Context* context_;
  std::vector<Source> sources_;
  std::vector<std::string> hosts_;
  std::map<std::string, TrustFile> trust_;              // by host
  std::vector<std::map<std::string, BoxSight>> boxes_;  // by source, then host
  std::set<std::string> read_;
  std::set<const Source*> silent_;  // did not answer in this look, or when it was to take
  std::set<std::string> said_;
  std::map<std::string, std::size_t> passed_over_;  // said of so many
};

}  // namespace jit::ctl
