// A jitctl with nothing real around it: a daemon and an ssh-keygen that tests script, a clock that stands, a
// directory of its own.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "jitctl/app.hpp"
#include "policy/document/envelope.hpp"
#include "policy/document/signature.hpp"
#include "tests/unit/catch.hpp"

namespace jit::ctl {

class FakeDaemon final : public Daemon {
 public:
  using Handler = std::function<Result<Reply>(const Row&)>;
  Result<Reply> call(wire::Verb verb, const Row& fields, std::chrono::milliseconds) override {
    calls.emplace_back(verb, fields);
    const auto handler = handlers.find(verb);
    if (handler == handlers.end()) return fail(Errc::unavailable, "jitd is not reachable (test)");
    return handler->second(fields);
  }
  void on(wire::Verb verb, Handler handler) { handlers[verb] = std::move(handler); }
  void answer(wire::Verb verb, Reply reply) {
    on(verb, [reply = std::move(reply)](const Row&) { return reply; });
  }

  std::map<wire::Verb, Handler> handlers;
  std::vector<std::pair<wire::Verb, Row>> calls;
};

// Plays /usr/bin/ssh-keygen -Y sign with `key`, and /usr/bin/ssh-add -L with `agent`.
class FakeSpawn final : public Spawn {
 public:
  Result<SpawnOutcome> run(const SpawnRequest& request) override {
    requests.push_back(request);
    SpawnOutcome outcome;
    outcome.exit_status = 0;
    const auto& argv = request.argv;
    if (argv.at(0) == "/usr/bin/ssh-add") {
      outcome.out = agent;
      return outcome;
    }
    if (argv.at(0).ends_with("/sbin/jitd") && !check.empty()) {
      outcome.exit_status = 1;
      outcome.err = check;
      return outcome;
    }
    if (argv.at(0).ends_with("/sbin/sshd") && !sshd.empty()) {
      outcome.out = sshd;
      return outcome;
    }
    if (systemd && argv.at(0).ends_with("/systemctl") && argv.at(1) == "show") {
      outcome.out = load_state;
      return outcome;
    }
    if (gate_lines && argv.at(0).ends_with("/gate-lines")) return outcome;
    if (systemd && (argv.at(0).ends_with("/systemd-run") || argv.at(0).ends_with("/systemctl"))) return outcome;
    if (argv.at(0) != "/usr/bin/ssh-keygen" || !key) {
      outcome.exit_status = 1;
      outcome.err = "cannot";
      return outcome;
    }
    REQUIRE(argv.at(2) == "-Y");
    REQUIRE(argv.at(3) == "sign");
    std::ifstream in(argv.back());
    std::stringstream message;
    message << in.rdbuf();
    const auto name_space = sign_elsewhere.empty() ? argv.at(7) : sign_elsewhere;
    const auto blob = key->sign(message.str(), name_space);
    REQUIRE(blob.has_value());
    std::ofstream(argv.back() + ".sig") << to_armor(*blob);
    return outcome;
  }

  std::vector<SpawnRequest> requests;
  std::string agent;
  std::string check;           // what jitd --check complains of
  std::string sshd;            // what sshd -T says
  std::string load_state;      // of any unit, when there is systemd
  bool gate_lines = false;     // it works
  bool systemd = false;        // timers can be armed and stopped
  std::string sign_elsewhere;  // a namespace that a bad ssh-keygen would use instead
  std::optional<SigningKey> key;
};

class Fixture {
 public:
  Fixture() {
    char name[] = "/tmp/jitctl-test.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
    for (const auto* sub :
         {"/home/.ssh", "/etc/jit/trust", "/etc/jit/policy.d", "/etc/pam.d", "/var", "/run", "/proc"}) {
      std::filesystem::create_directories(root + sub);
    }
    auto made = SigningKey::generate();
    REQUIRE(made.has_value());
    spawn.key = *made;
    spawn.agent = public_key_line(made->public_key()) + " carol@laptop\n";
    environment["HOME"] = root + "/home";
    environment["SSH_AUTH_SOCK"] = root + "/agent";
    environment["XDG_RUNTIME_DIR"] = root + "/run";
    context.env = [this](const char* what) -> std::optional<std::string> {
      const auto found = environment.find(what);
      if (found == environment.end()) return std::nullopt;
      return found->second;
    };
    context.now = [this] { return now; };
    context.make_digits = [] { return "4827"; };
    context.user = "carol";
    context.uid = 1000;
    context.places = {root + "/etc", root + "/etc/jit", root + "/var",       root + "/run",
                      root + "/usr", root + "/proc",    root + "/recordings"};
    context.become = [this](const std::vector<std::string>& argv) {
      became = argv;
      return Error{Errc::system, "became another", 0};
    };
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  Exit jitctl(const std::vector<std::string>& arguments) {
    out.str("");
    err.str("");
    context.json = context.qr = context.typed = false;
    return run(context, arguments);
  }
  std::string put(const std::string& name, const std::string& text) {
    const auto path = root + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  static std::string get(const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  void answers(const std::string& lines) {
    context.in_terminal = context.out_terminal = true;
    in.clear();
    in.str(lines);
  }

  std::string root;
  WallTime now{Seconds(1795332600)};
  FakeDaemon daemon;
  FakeSpawn spawn;
  std::map<std::string, std::string> environment;
  std::vector<std::string> became;  // the program that jitctl would be by now
  std::istringstream in;
  std::ostringstream out, err;
  Context context{daemon, spawn, in, out, err};
};

inline Reply done(Row result = {}, std::vector<Row> items = {}) {
  return Reply{wire::Status::done, result.text(wire::Tag::message), std::move(result), std::move(items)};
}

}  // namespace jit::ctl
