// The etcd of a simulated fleet: a child process, and what the kernel and its own metrics say of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "jitd/sync/http.hpp"

namespace fleet {

// At one moment; differences of two are what happened in between.
struct Figures {
  std::map<std::string, double> asked;   // by method of gRPC, "Range"
  double watchers = 0;                   // open watches
  double database = 0;                   // bytes in use
  double fsyncs = 0, fsync_seconds = 0;  // of the write-ahead log
  double cpu = 0;                        // seconds
  std::uint64_t memory = 0, peak = 0;    // resident bytes
  [[nodiscard]] double all_asked() const;
};

class Server {
 public:
  // `command` starts it in the foreground; `metrics` is where it tells them ("http://HOST:PORT"), `interface` the
  // network interface that all hosts use; `log` takes its words.
  Server(std::vector<std::string> command, const std::string& metrics, std::string interface, std::string log);
  ~Server() { kill(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  void kill();
  // Answers questions within so many seconds of start().
  [[nodiscard]] bool answers(double within);
  // Waits until it answers. What the kernel does not tell is 0.
  [[nodiscard]] Figures figures();
  [[nodiscard]] double watchers();
  void forget_peak();
  // Through the hosts' interface, both ways.
  struct Traffic {
    double bytes = 0, packets = 0;
  };
  [[nodiscard]] Traffic traffic() const;

 private:
  [[nodiscard]] std::string metrics();  // empty: it does not answer
  std::vector<std::string> command_;
  std::string url_, interface_, log_;
  std::unique_ptr<jit::Http> http_;
  pid_t pid_ = 0;
};

// Of processes of ours: seconds of CPU; bytes that nobody else has, shared ones in parts (PSS).
[[nodiscard]] double cpu_of(const std::vector<pid_t>& processes);
[[nodiscard]] std::uint64_t memory_of(const std::vector<pid_t>& processes);
// TCP connections of this network namespace to that port.
[[nodiscard]] unsigned connections_to(unsigned port);

}  // namespace fleet
