// A server on loopback that says what a test's script has it say, byte by byte.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "jitd/sys/fd.hpp"

namespace jit::synctest {

class Loopback {
 public:
  class Connection {
   public:
    Connection(Loopback& server, int fd) : server_(server), fd_(fd) {}
    // Head and body of the next request; "" when there is none.
    std::string request() {
      std::string text;
      std::size_t whole = std::string::npos;
      while (text.size() < whole) {
        pollfd entry{fd_, POLLIN, 0};
        if (server_.stopping_ || ::poll(&entry, 1, 20) < 0) return {};
        if (entry.revents == 0) continue;
        char bytes[4096];
        const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
        if (got <= 0) return {};
        text.append(bytes, static_cast<std::size_t>(got));
        const auto end = text.find("\r\n\r\n");
        if (end == std::string::npos || whole != std::string::npos) continue;
        const auto length = text.find("Content-Length: ");
        whole = end + 4 + (length < end ? std::stoul(text.substr(length + 16)) : 0);
      }
      const std::lock_guard lock(server_.mutex_);
      server_.requests_.push_back(text);
      return text;
    }
    // False: the other end is gone.
    bool send(std::string_view text) {
      while (!text.empty() && !server_.stopping_) {
        pollfd entry{fd_, POLLOUT, 0};
        if (::poll(&entry, 1, 20) <= 0) continue;
        const ssize_t put = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(put));
      }
      return text.empty();
    }
    void pause(int ms) {
      for (int passed = 0; passed < ms && !server_.stopping_; passed += 5) (void)::poll(nullptr, 0, 5);
    }
    // Closed with a reset instead of an end.
    void reset() {
      const linger now{1, 0};
      (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    [[nodiscard]] bool stopping() const { return server_.stopping_; }

   private:
    Loopback& server_;
    int fd_;
  };

  // Each connection is handed to the script, one at a time, and closed when it returns.
  explicit Loopback(std::function<void(Connection&)> script) : script_(std::move(script)) {
    listening_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listening_.get(), where, size) != 0 || ::listen(listening_.get(), 16) != 0 ||
        ::getsockname(listening_.get(), where, &size) != 0)
      throw std::runtime_error("no server on loopback");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  // Answers each request with one text.
  explicit Loopback(std::string answer)
      : Loopback([text = std::move(answer)](Connection& one) {
          while (!one.request().empty() && one.send(text)) {
          }
        }) {}
  Loopback(const Loopback&) = delete;
  Loopback& operator=(const Loopback&) = delete;
  ~Loopback() {
    stopping_ = true;
    thread_.join();
  }

  [[nodiscard]] std::string url(std::string_view path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve() {
    while (!stopping_) {
      pollfd entry{listening_.get(), POLLIN, 0};
      if (::poll(&entry, 1, 20) <= 0) continue;
      const UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      ++connections_;
      Connection connection(*this, fd.get());
      script_(connection);
    }
  }

  std::function<void(Connection&)> script_;
  UniqueFd listening_;
  unsigned port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

inline std::string answer(std::string_view status, std::string_view headers, std::string_view body) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(headers) + "\r\n" + std::string(body);
}

}  // namespace jit::synctest
