// Simulated hosts: each is what jitd-sync runs for one source, the real courier over the real mailbox, in a thread of
// a few processes, with an inbox that is emptied as jitd would and an outbox that has a heartbeat.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/sources.hpp"

namespace fleet {

inline constexpr const char* kSegment = "fleet";  // that every host belongs to
// Stands before the number of a document, anywhere in it.
inline constexpr const char* kMark = "fleet document ";

std::string host_name(unsigned host);
std::int64_t now_ns() noexcept;  // CLOCK_MONOTONIC, the same in all processes

// What came to hosts and how they are doing, in memory that all processes share. A fixed number of entries, each
// written once.
class Board {
 public:
  struct Arrival {
    std::atomic<std::int64_t> at{0};  // 0: not written yet
    std::uint32_t document = 0, host = 0;
  };
  struct Counts {
    std::atomic<std::uint64_t> arrivals{0}, passes{0}, errors{0};
    std::atomic<std::uint32_t> read{0};  // hosts that have read their boxes once
  };

  explicit Board(std::size_t capacity);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  void note(std::uint32_t document, std::uint32_t host) noexcept;
  [[nodiscard]] std::size_t arrived() const noexcept;
  [[nodiscard]] const Arrival& arrival(std::size_t i) const noexcept { return arrivals_[i]; }
  [[nodiscard]] Counts& counts() noexcept { return *counts_; }

 private:
  std::size_t capacity_, size_;
  void* memory_;
  Counts* counts_;
  Arrival* arrivals_;
};

struct HostsConfig {
  unsigned hosts = 0, per_process = 500;
  std::string folder;                  // for inboxes and outboxes, a tmpfs
  jit::SourceSpec spec;                // with a user: PREFIX/host/NAME and FOLDER/NAME/password take its place
  std::chrono::milliseconds start{0};  // within which they begin, by chance
  std::chrono::milliseconds heartbeat{300'000};
};

// The processes; they are killed with this object, or with the process that made it.
class Hosts {
 public:
  // Each host's folders, before anything is measured.
  static void prepare(const HostsConfig& config);
  Hosts(const HostsConfig& config, Board& board);
  ~Hosts();
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;
  [[nodiscard]] const std::vector<pid_t>& processes() const { return processes_; }

 private:
  std::vector<pid_t> processes_;
};

}  // namespace fleet
