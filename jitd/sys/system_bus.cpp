#include "jitd/sys/system_bus.hpp"

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "policy/text.hpp"
#include "policy/time.hpp"

namespace jit {
namespace {

constexpr std::uint64_t kTimeoutUsec = 2'000'000;
constexpr std::uint64_t kSlicesUsec = 200'000;        // to drop empty slices: nobody waits longer for that
constexpr std::uint64_t kScopeTimeoutUsec = 400'000;  // somebody waits for their command to start
constexpr std::uint64_t kCheckTimeoutUsec = 400'000;  // the loop stands still, and with it every end
constexpr const char* kSystemd = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

struct BusClose {
  void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
};
struct MessageFree {
  void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
};
using BusHandle = std::unique_ptr<sd_bus, BusClose>;
using Message = std::unique_ptr<sd_bus_message, MessageFree>;

struct BusError {
  sd_bus_error error{};  // SD_BUS_ERROR_NULL, which is a C compound literal
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error); }
};

// The socket on which systemd itself listens for root.
BusHandle open_private() {
  sd_bus* raw = nullptr;
  if (sd_bus_new(&raw) < 0) return nullptr;
  BusHandle bus(raw);
  if (sd_bus_set_address(raw, "unix:path=/run/systemd/private") < 0 || sd_bus_start(raw) < 0) return nullptr;
  return bus;
}

// A systemd that hangs takes the connection and says nothing, and sd-bus would wait for its first word for as long as
// its own patience lasts, whatever the timeout of the call is.
bool ready_within(sd_bus* bus, std::uint64_t usec) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(usec);
  for (;;) {
    if (const int ready = sd_bus_is_ready(bus); ready != 0) return ready > 0;
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0) return false;
    if (done > 0) continue;
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0 || sd_bus_wait(bus, static_cast<std::uint64_t>(left)) < 0) return false;
  }
}

Result<BusHandle> open_bus(std::uint64_t patience_usec = kTimeoutUsec) {
  BusHandle bus = open_private();
  if (!bus) {
    sd_bus* raw = nullptr;
    if (const int error = sd_bus_open_system(&raw); error < 0)
      return fail(Errc::unavailable, "systemd cannot be reached: " + fail_errno(-error, "sd-bus").value().message);
    bus.reset(raw);
  }
  if (sd_bus_set_method_call_timeout(bus.get(), kTimeoutUsec) < 0)
    return fail(Errc::system, "sd-bus: no timeout can be set");
  if (!ready_within(bus.get(), patience_usec)) return fail(Errc::unavailable, "systemd does not answer");
  return bus;
}

tl::unexpected<Error> bus_failure(const std::string& what, int code, const BusError& error) {
  const std::string why = sd_bus_error_is_set(&error.error) != 0 && error.error.message != nullptr
                              ? shown(error.error.message, 300)
                              : fail_errno(-code, "sd-bus").value().message;
  return fail(Errc::unavailable, "systemd: " + what + ": " + why);
}

// "2026-11-22 05:10:39.250 UTC", as systemd.time(7) reads it.
std::string calendar(std::int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> date{};
  (void)std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  (void)std::snprintf(fraction.data(), fraction.size(), ".%03d", static_cast<int>(wall_ms % 1000));
  return std::string(date.data()) + fraction.data() + " UTC";
}

// StartTransientUnit(name, mode, properties a(sv), aux a(sa(sv))). A transient timer cannot name the unit that it
// starts
// (`Unit` is not among its properties): it is the service of its own name.
int append_timer(sd_bus_message* m, const std::string& unit, const std::string& when, std::uint64_t from_now_usec) {
  int r = sd_bus_message_append(m, "ss", unit.c_str(), "fail");
  if (r >= 0)
    r = sd_bus_message_append(m, "a(sv)", 6,                                                   //
                              "Description", "s", "Dead-man: ends grants when jitd does not",  //
                              "TimersCalendar", "a(ss)", 1, "OnCalendar", when.c_str(),        //
                              "TimersMonotonic", "a(st)", 1, "OnActiveSec", from_now_usec,     //
                              "AccuracyUSec", "t", std::uint64_t{1000},                        //
                              "OnClockChange", "b", 1,                                         //
                              "RemainAfterElapse", "b", 0);
  if (r >= 0) r = sd_bus_message_append(m, "a(sa(sv))", 0);
  return r;
}

int append_pids(sd_bus_message* m, const std::vector<pid_t>& pids) {
  int r = sd_bus_message_open_container(m, 'r', "sv");
  if (r >= 0) r = sd_bus_message_append(m, "s", "PIDs");
  if (r >= 0) r = sd_bus_message_open_container(m, 'v', "au");
  if (r >= 0) r = sd_bus_message_append_array(m, 'u', pids.data(), pids.size() * sizeof(pid_t));
  if (r >= 0) r = sd_bus_message_close_container(m);
  return r < 0 ? r : sd_bus_message_close_container(m);
}

// `how`: "GetUnit", of what systemd knows now, or "LoadUnit", of what it could know.
Result<std::string> unit_path(sd_bus* bus, const std::string& unit, const char* how = "GetUnit") {
  BusError error;
  sd_bus_message* raw = nullptr;
  const int r = sd_bus_call_method(bus, kSystemd, kManagerPath, kManager, how, &error.error, &raw, "s", unit.c_str());
  const Message reply(raw);
  if (r < 0) {
    if (sd_bus_error_has_name(&error.error, "org.freedesktop.systemd1.NoSuchUnit") != 0)
      return fail(Errc::not_found, "systemd has no unit " + unit);
    return bus_failure(unit, r, error);
  }
  const char* path = nullptr;
  if (sd_bus_message_read(raw, "o", &path) < 0) return fail(Errc::system, "systemd: unreadable answer");
  return std::string(path);
}

Result<std::string> state_of(sd_bus* bus, const std::string& unit, const std::string& path, const char* property) {
  BusError error;
  char* raw = nullptr;
  const int r = sd_bus_get_property_string(bus, kSystemd, path.c_str(), "org.freedesktop.systemd1.Unit", property,
                                           &error.error, &raw);
  if (r < 0) return bus_failure(unit, r, error);
  const auto release = [](char* text) { ::free(text); };  // NOLINT(cppcoreguidelines-no-malloc): sd-bus allocated it
  const std::unique_ptr<char, decltype(release)> text(raw, release);
  return std::string(text.get());
}

Result<std::string> active_state(sd_bus* bus, const std::string& unit) {
  const auto path = unit_path(bus, unit);
  if (!path) return tl::unexpected(path.error());
  return state_of(bus, unit, *path, "ActiveState");
}

Result<void> loaded(sd_bus* bus, const std::string& service) {
  const auto path = unit_path(bus, service, "LoadUnit");
  if (!path) return tl::unexpected(path.error());
  const auto state = state_of(bus, service, *path, "LoadState");
  if (!state) return tl::unexpected(state.error());
  if (*state == "loaded") return {};
  return fail(Errc::unavailable, "systemd: " + service + " is " + shown(*state, 40) +
                                     (*state == "masked" ? " (systemctl unmask undoes that)" : ""));
}

}  // namespace

bool systemd_runs() {
  return ::sd_booted() != 0;  // what cannot be told counts as there: it is asked then, and refuses
}

Result<void> SystemBus::check_service(const std::string& service) {
  auto bus = open_bus(kCheckTimeoutUsec);
  if (!bus) return tl::unexpected(bus.error());
  if (sd_bus_set_method_call_timeout(bus->get(), kCheckTimeoutUsec) < 0)
    return fail(Errc::system, "sd-bus: no timeout can be set");
  return loaded(bus->get(), service);
}

Result<void> SystemBus::start_timer(const std::string& name, std::int64_t wall_ms, std::uint64_t from_now_ms) {
  auto bus = open_bus();
  if (!bus) return tl::unexpected(bus.error());
  const std::string unit = name + ".timer";
  sd_bus_message* raw = nullptr;
  int r = sd_bus_message_new_method_call(bus->get(), &raw, kSystemd, kManagerPath, kManager, "StartTransientUnit");
  const Message call(raw);
  BusError error;
  // 0 would mean "never" to no one, but systemd takes it for an unset timer.
  if (r >= 0) r = append_timer(raw, unit, calendar(wall_ms), std::max<std::uint64_t>(from_now_ms, 1) * 1000);
  if (r >= 0) r = sd_bus_call(bus->get(), raw, kTimeoutUsec, &error.error, nullptr);
  // There already: armed for the same end by us or by `--expire`, whose names tell the time.
  if (r < 0 && sd_bus_error_has_name(&error.error, "org.freedesktop.systemd1.UnitExists") == 0)
    return bus_failure("timer " + unit, r, error);

  // The call queues a job; the timer counts only once it is active. It may even have run off already: then it is
  // gone, as is one that could not start for want of its service.
  for (int attempt = 0; attempt < 200; ++attempt) {
    const auto state = active_state(bus->get(), unit);
    if (!state && state.error().code == Errc::not_found) return loaded(bus->get(), name + ".service");
    if (!state) return tl::unexpected(state.error());
    if (*state == "active") return {};
    if (*state == "failed")
      return fail(Errc::unavailable, "systemd: timer " + unit + " failed; is jit-expire@.service installed?");
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return fail(Errc::unavailable, "systemd: timer " + unit + " does not start");
}

Result<void> SystemBus::stop_timer(const std::string& name) {
  auto bus = open_bus();
  if (!bus) return tl::unexpected(bus.error());
  const std::string unit = name + ".timer";
  BusError error;
  const int r = sd_bus_call_method(bus->get(), kSystemd, kManagerPath, kManager, "StopUnit", &error.error, nullptr,
                                   "ss", unit.c_str(), "replace");
  if (r >= 0 || sd_bus_error_has_name(&error.error, "org.freedesktop.systemd1.NoSuchUnit") != 0) return {};
  return bus_failure("timer " + unit, r, error);
}

Result<void> SystemBus::start_scope(const std::string& scope, const std::string& slice,
                                    const std::vector<pid_t>& pids) {
  auto bus = open_bus(kScopeTimeoutUsec);
  if (!bus) return tl::unexpected(bus.error());
  sd_bus_message* raw = nullptr;
  int r = sd_bus_message_new_method_call(bus->get(), &raw, kSystemd, kManagerPath, kManager, "StartTransientUnit");
  const Message call(raw);
  BusError error;
  if (r >= 0) r = sd_bus_message_append(raw, "ss", scope.c_str(), "fail");
  if (r >= 0) r = sd_bus_message_open_container(raw, 'a', "(sv)");
  if (r >= 0)
    r = sd_bus_message_append(raw, "(sv)(sv)(sv)(sv)",                                    //
                              "Description", "s", "Command run by a just-in-time grant",  //
                              "Slice", "s", slice.c_str(),                                //
                              "CollectMode", "s", "inactive-or-failed",                   //
                              "TimeoutStopUSec", "t", std::uint64_t{1'000'000});
  if (r >= 0) r = append_pids(raw, pids);
  if (r >= 0) r = sd_bus_message_close_container(raw);
  if (r >= 0) r = sd_bus_message_append(raw, "a(sa(sv))", 0);
  if (r >= 0) r = sd_bus_call(bus->get(), raw, kScopeTimeoutUsec, &error.error, nullptr);
  if (r < 0) return bus_failure(scope, r, error);
  return {};
}

void SystemBus::stop_slices(const std::vector<std::string>& slices) {
  if (slices.empty()) return;
  const auto bus = open_bus(kSlicesUsec);
  if (!bus) return;
  for (const std::string& slice : slices) {
    sd_bus_message* raw = nullptr;
    const int r = sd_bus_message_new_method_call(bus->get(), &raw, kSystemd, kManagerPath, kManager, "StopUnit");
    const Message call(raw);
    if (r < 0 || sd_bus_message_append(raw, "ss", slice.c_str(), "replace") < 0) return;
    if (&slice == &slices.back()) {
      // systemd drops what it has not read when a connection closes: the answer to the last says that it has read
      // all.
      (void)sd_bus_call(bus->get(), raw, kSlicesUsec, nullptr, nullptr);
    } else if (sd_bus_message_set_expect_reply(raw, 0) < 0 || sd_bus_send(bus->get(), raw, nullptr) < 0) {
      return;
    }
  }
}

Result<pid_t> SystemBus::main_pid(const std::string& unit) {
  auto bus = open_bus();
  if (!bus) return tl::unexpected(bus.error());
  const auto path = unit_path(bus->get(), unit);
  if (!path) return tl::unexpected(path.error());
  BusError error;
  std::uint32_t pid = 0;
  const int r = sd_bus_get_property_trivial(bus->get(), kSystemd, path->c_str(), "org.freedesktop.systemd1.Service",
                                            "MainPID", &error.error, 'u', &pid);
  if (r < 0) return bus_failure(unit, r, error);
  if (pid == 0) return fail(Errc::not_found, unit + " is not running");
  return static_cast<pid_t>(pid);
}

}  // namespace jit
