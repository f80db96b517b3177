// jitctl setup: from a fresh install to a working request and approval. Asks on a terminal, takes flags in scripts.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "jitctl/app.hpp"
#include "jitctl/first_policy.hpp"
#include "jitctl/gate.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/signing.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/sys/files.hpp"
#include "policy/names.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string host, approver, proof, role;
  std::vector<std::string> groups, eligible, gates;
  bool yes = false, unproven = false;
};

// One after the other; each step says what it did. A step that fails stops, those before it stand: running setup
// again goes on from there.
class Setup {
 public:
  Setup(Context& context, const Options& options) : context_(context), options_(options) {}

  Outcome run() {
    if (auto root = need_root(context_, "setup"); !root) return tl::unexpected(root.error());
    for (const auto step : {&Setup::host, &Setup::approver, &Setup::role, &Setup::gates}) {
      if (auto done = (this->*step)(); !done) return tl::unexpected(done.error());
    }
    if (context_.json) {
      context_.out << JsonObject()
                          .text("host", host_)
                          .text("approver", approver_)
                          .text("role", role_)
                          .texts("done", done_)
                          .str()
                   << '\n';
      return Exit::done;
    }
    if (!role_.empty()) {
      context_.out << fmt::format("\nTry it:  jitctl request {} -m \"first try\"      as {}\n", shown(role_),
                                  shown(who_));
      context_.out << fmt::format("         jitctl pending; jitctl approve ID      as {}\n", shown(approver_));
    }
    context_.out << "Then:    jitctl doctor\n";
    return Exit::done;
  }

 private:
  [[nodiscard]] bool asks() const { return context_.can_ask() && !options_.yes; }

  void did(std::string what) {
    if (!context_.json) context_.out << shown(what) << '\n';
    done_.push_back(std::move(what));
  }

  // Replaces DIR/NAME of /etc/jit, 0644.
  Result<void> write(const std::string& directory, const std::string& name, std::string_view text) {
    const auto dir = open_dir(directory);
    if (!dir) return tl::unexpected(dir.error());
    return replace_file(system_files(), dir->get(), name, text, {0644, ::geteuid(), ::getegid()});
  }

  Result<void> host() {
    const auto info = inspect(context_);
    std::string now = info ? info->host : "";
    if (now.empty()) {
      std::array<char, 256> node{};
      (void)::gethostname(node.data(), node.size() - 1);
      now = node.data();
      complain(context_, "jitd does not answer (systemctl start jitd); what follows is written all the same");
    }
    host_ = options_.host.empty() ? now : options_.host;
    if (options_.host.empty() && asks()) {
      auto answer = ask_line(context_, "What do signed documents call this host?", now);
      if (!answer) return tl::unexpected(answer.error());
      host_ = std::move(*answer);
    }
    const auto path = context_.places.etc_jit + "/jitd.toml";
    const auto config = read_file(path, 64 * 1024);
    if (!config && config.error().code != Errc::not_found) return tl::unexpected(config.error());
    const auto text = with_host(config ? *config : "", host_);
    if (!text) return tl::unexpected(text.error());
    if (!config || *text != *config) {
      if (auto written = write(context_.places.etc_jit, "jitd.toml", *text); !written) return written;
      did(fmt::format("host: {} ({})", host_, path));
    }
    if (info)
      did(fmt::format("host key: {} (approvers elsewhere need {}/host_key.pub)", info->host_key,
                      context_.places.var));
    return {};
  }

  Result<void> approver() {
    const auto path = context_.places.etc_jit + "/trust/approvers";
    const auto there = read_trust(path);
    if (!there) return tl::unexpected(there.error());
    auto wanted = options_.approver;
    if (wanted.empty() && asks() && there->lines.empty()) {
      auto name = ask_line(context_, "Who is the first approver (a user name; nothing to skip)?", "");
      if (!name) return tl::unexpected(name.error());
      if (!name->empty()) {
        auto key = ask_line(context_, "Their public key (a .pub file, or the key itself)",
                            fmt::format("/home/{}/.ssh/id_ed25519.pub", *name));
        if (!key) return tl::unexpected(key.error());
        wanted = *name + "=" + *key;
      }
    }
    if (wanted.empty()) {
      if (!there->lines.empty()) approver_ = there->lines.front().principal;
      return {};
    }
    const auto equals = wanted.find('=');
    if (equals == std::string::npos) return fail(Errc::invalid, "--approver takes NAME=KEYFILE");
    approver_ = wanted.substr(0, equals);
    const auto file = wanted.substr(equals + 1);
    auto key = read_public_key(file);
    if (!key) return tl::unexpected(key.error());
    TrustLine line;
    line.principal = approver_;
    line.key = std::move(*key);
    line.namespaces = namespaces_of("approvers");
    if (auto proven = prove(line, file); !proven) return proven;
    const bool known = std::any_of(there->lines.begin(), there->lines.end(), [&](const TrustLine& other) {
      return other.key == line.key && other.principal == line.principal;
    });
    if (!known) {
      if (auto added = add_trust_line(path, line); !added) return added;
    }
    did(fmt::format("approver: {} with {} ({})", approver_, fingerprint(line.key), path));
    return {};
  }

  // The approver's key signs a test text: from a file made elsewhere, or with the private key beside the public one.
  Result<void> prove(const TrustLine& line, const std::string& file) {
    TrustFile alone;
    alone.path = "the approver named";
    alone.lines.push_back(line);
    const auto private_key = file.ends_with(".pub") ? file.substr(0, file.size() - 4) : std::string();
    auto proof = options_.proof;
    std::string armored;
    std::error_code ignored;
    if (proof.empty() && !private_key.empty() && std::filesystem::exists(private_key, ignored)) {
      KeyChoice choice;
      choice.file = choice.name = private_key;
      choice.key = line.key;
      const auto blob = sign_bytes(context_, choice, test_text(host_), kTestNamespace);
      if (blob) armored = to_armor(*blob);
      if (!blob) complain(context_, blob.error().message);
    }
    if (armored.empty() && proof.empty() && asks()) {
      context_.err << fmt::format(
          "A test signature, made by {} wherever the key is:\n  echo 'jit test for {}' | ssh-keygen -Y sign -n "
          "jit-test -f KEY > proof.sig\n",
          shown(line.principal), host_);
      auto answer = ask_line(context_, "The file proof.sig (nothing: trust the key unproven)", "");
      if (!answer) return tl::unexpected(answer.error());
      proof = std::move(*answer);
      if (proof.empty()) return {};
    }
    if (!proof.empty()) {
      auto read = read_file(proof, 16 * 1024);
      if (!read) return tl::unexpected(read.error());
      armored = std::move(*read);
    }
    if (armored.empty()) {
      if (options_.unproven) return {};
      return fail(
          Errc::refused,
          fmt::format("{}'s key made no test signature; add --proof FILE, made with: echo 'jit test for {}' | "
                      "ssh-keygen -Y sign -n jit-test -f KEY > FILE; or --unproven",
                      line.principal, host_));
    }
    const auto good = check_proof(armored, host_, alone, context_.now());
    if (!good) return tl::unexpected(good.error());
    did(fmt::format("{} can sign", line.principal));
    return {};
  }

  // Asks for a list; an answer of nothing leaves it empty.
  Result<std::vector<std::string>> words(const std::vector<std::string>& given, std::string_view question,
                                         const std::string& otherwise) {
    if (!given.empty() || !asks()) return given;
    const auto answer = ask_line(context_, question, otherwise);
    if (!answer) return tl::unexpected(answer.error());
    std::vector<std::string> list;
    for (const auto part : split(*answer, ',')) {
      const auto first = part.find_first_not_of(' ');
      if (first == std::string_view::npos) continue;
      list.emplace_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
    }
    return list;
  }

  Result<void> role() {
    const auto directory = context_.places.etc_jit + "/policy.d";
    const auto dir = open_dir(directory);
    if (!dir) return tl::unexpected(dir.error());
    const auto names = list_dir(dir->get());
    if (!names) return tl::unexpected(names.error());
    const bool has_policy = std::any_of(names->begin(), names->end(), [](const std::string& name) {
      return name.ends_with(".toml") && !name.starts_with(".");
    });
    if (has_policy) {
      if (!options_.role.empty()) complain(context_, directory + " has a policy already; no first role is written");
      return {};
    }
    FirstRole first;
    first.role = options_.role;
    first.approver = approver_;
    if (first.role.empty() && asks()) {
      auto answer = ask_line(context_, "A first role (a name; nothing to skip)", "");
      if (!answer) return tl::unexpected(answer.error());
      first.role = std::move(*answer);
    }
    if (first.role.empty()) return {};
    if (first.approver.empty())
      return fail(Errc::invalid, "a first role needs a first approver: --approver NAME=KEYFILE");
    auto groups = words(options_.groups, "Groups of this host that it gives (commas between)", "");
    if (!groups) return tl::unexpected(groups.error());
    auto eligible = words(options_.eligible, "Who may ask for it (users, and @group)", "");
    if (!eligible) return tl::unexpected(eligible.error());
    auto gates = words(options_.gates,
                       "Services to watch with a gate, in observe mode (such as sshd, sudo; nothing for none)", "");
    if (!gates) return tl::unexpected(gates.error());
    if (eligible->empty())
      return fail(Errc::invalid, "somebody must be able to ask for the role: --eligible USER or @GROUP");
    first.groups = std::move(*groups);
    first.eligible = std::move(*eligible);
    first.gates = gates_ = std::move(*gates);
    who_ = first.eligible.front();
    const auto text = first_policy(first);
    if (!text) return tl::unexpected(text.error());
    if (auto written = write(directory, "10-first.toml", *text); !written) return written;
    role_ = first.role;
    did(fmt::format("role: {} ({}/10-first.toml)", role_, directory));
    return {};
  }

  // Lines in observe mode only: they refuse nobody. enforce is a step of its own, with its own proofs.
  Result<void> gates() {
    if (gates_.empty()) gates_ = options_.gates;
    for (const auto& service : gates_) {
      const auto files = set_gate(pam_dir(context_), service, GateMode::observe, {});
      if (!files) return tl::unexpected(files.error());
      for (const auto& file : *files) did(fmt::format("{}/{}: observe", pam_dir(context_), file));
    }
    return {};
  }

  Context& context_;
  const Options& options_;
  std::string host_, approver_, role_, who_ = "somebody eligible";
  std::vector<std::string> gates_, done_;
};

}  // namespace

void add_setup(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("setup", "First steps: host name, approver, role, PAM lines (root)",
                               [&context, options] { return Setup(context, *options).run(); });
  command->add_option("--host", options->host, "What signed documents call this host")->type_name("NAME");
  command->add_option("--approver", options->approver, "First approver and their public key")
      ->type_name("NAME=KEYFILE");
  command
      ->add_option("--proof", options->proof,
                   "The approver's signature over 'jit test for HOST', made with ssh-keygen -n jit-test")
      ->type_name("FILE");
  command->add_flag("--unproven", options->unproven, "Trust the key without a test signature");
  command->add_option("--role", options->role, "First role, when there is no policy yet")->type_name("NAME");
  command->add_option("--groups", options->groups, "Groups that it gives")->delimiter(',')->type_name("GROUP");
  command->add_option("--eligible", options->eligible, "Who may ask for it: users, @groups")
      ->delimiter(',')
      ->type_name("USER");
  command->add_option("--gate", options->gates, "Watch this service, in observe mode")
      ->delimiter(',')
      ->type_name("SERVICE");
  command->add_flag("--yes", options->yes, "Ask nothing");
}

}  // namespace jit::ctl
