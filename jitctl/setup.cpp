// jitctl setup: from a fresh install to a working request and approval. Asks on a terminal, takes flags in scripts.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "jitctl/app.hpp"
#include "jitctl/exempt.hpp"
#include "jitctl/first_policy.hpp"
#include "jitctl/gate.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/policy_files.hpp"
#include "jitctl/signing.hpp"
#include "jitctl/ssh_mailbox.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/gates/pam_files.hpp"
#include "jitd/sys/files.hpp"
#include "policy/names.hpp"
#include "policy/rules/load.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::chrono::seconds kReadSoon{2};
constexpr std::chrono::milliseconds kAskAgain{50};

struct Options {
  std::string host, approver, proof, role;
  std::vector<std::string> groups, eligible, gates, exempt;
  bool yes = false, unproven = false;
};

using Check = std::function<Result<void>(const std::string&)>;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> list;
  for (const auto part : split(text, ',')) {
    const auto first = part.find_first_not_of(' ');
    if (first == std::string_view::npos) continue;
    list.emplace_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
  }
  return list;
}

std::string joined_by_comma(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& word : list) text += (text.empty() ? "" : ",") + word;
  return text;
}

// Everything is asked and checked before anything is written; then each step says what it did.
class Setup {
 public:
  Setup(Context& context, const Options& options) : context_(context), options_(options) {}

  Outcome run() {
    if (auto root = need_root(context_, "setup"); !root) return tl::unexpected(root.error());
    for (const auto step : {&Setup::plan_host, &Setup::plan_approver, &Setup::plan_role, &Setup::write_host,
                            &Setup::write_approver, &Setup::write_role, &Setup::write_gates}) {
      if (auto done = (this->*step)(); !done) return tl::unexpected(done.error());
    }
    wait_until_read();
    say_what_is_left();
    return Exit::done;
  }

 private:
  [[nodiscard]] bool asks() const { return context_.can_ask() && !options_.yes; }
  [[nodiscard]] std::string trust_file() const { return context_.places.etc_jit + "/trust/approvers"; }
  [[nodiscard]] std::string policy_dir() const { return context_.places.etc_jit + "/policy.d"; }

  void did(std::string what) {
    if (!context_.json) context_.out << shown(what) << '\n';
    done_.push_back(std::move(what));
  }

  // Asks until the answer is good; the end of input ends it.
  Result<std::string> ask(std::string_view question, std::string_view otherwise, const Check& check) {
    for (;;) {
      auto answer = ask_line(context_, question, otherwise);
      if (!answer) return answer;
      const auto good = check(*answer);
      if (good) return answer;
      complain(context_, good.error().message);
    }
  }

  // Replaces DIR/NAME of /etc/jit, 0644.
  Result<void> write(const std::string& directory, const std::string& name, std::string_view text) {
    const auto dir = open_dir(directory);
    if (!dir) return tl::unexpected(dir.error());
    return replace_file(system_files(), dir->get(), name, text, {0644, ::geteuid(), ::getegid()});
  }

  Result<void> plan_host() {
    if (auto info = inspect(context_)) {
      info_ = std::move(*info);
      host_ = info_->host;
    } else {
      std::array<char, 256> node{};
      (void)::gethostname(node.data(), node.size() - 1);
      host_ = node.data();
      complain(context_, "jitd does not answer (systemctl start jitd); what follows is written all the same");
    }
    if (!options_.host.empty()) {
      host_ = options_.host;
    } else if (asks()) {
      auto answer = ask("What do signed documents call this host?", host_,
                        [](const std::string& name) { return check_host_name(name); });
      if (!answer) return tl::unexpected(answer.error());
      host_ = std::move(*answer);
    }
    const auto config = read_file(context_.places.etc_jit + "/jitd.toml", 64 * 1024);
    if (!config && config.error().code != Errc::not_found) return tl::unexpected(config.error());
    auto text = with_host(config ? *config : "", host_);
    if (!text) return tl::unexpected(text.error());
    if (!config || *text != *config) config_ = std::move(*text);
    return {};
  }

  Result<void> plan_approver() {
    const auto there = read_trust(trust_file());
    if (!there) return tl::unexpected(there.error());
    auto name = options_.approver.substr(0, options_.approver.find('='));
    std::string file;
    if (!options_.approver.empty()) {
      if (name.size() == options_.approver.size()) return fail(Errc::invalid, "--approver takes NAME=KEYFILE");
      file = options_.approver.substr(name.size() + 1);
    } else if (asks() && there->lines.empty()) {
      auto who = ask("Who is the first approver (a user name; nothing to skip)?", "",
                     [](const std::string& user) { return user.empty() ? Result<void>() : check_user_name(user); });
      if (!who) return tl::unexpected(who.error());
      name = std::move(*who);
      if (!name.empty()) {
        auto key = ask("Their public key (a .pub file, or the key itself)",
                       fmt::format("/home/{}/.ssh/id_ed25519.pub", name), [](const std::string& answer) {
                         const auto read = read_public_key(answer);
                         return read ? Result<void>() : tl::unexpected(read.error());
                       });
        if (!key) return tl::unexpected(key.error());
        file = std::move(*key);
      }
    }
    if (name.empty()) {
      if (!there->lines.empty()) approver_ = there->lines.front().principal;
      return {};
    }
    approver_ = name;
    auto key = read_public_key(file);
    if (!key) return tl::unexpected(key.error());
    TrustLine line;
    line.principal = approver_;
    line.key = std::move(*key);
    line.namespaces = namespaces_of("approvers");
    if (auto proven = prove(line, file); !proven) return proven;
    known_ = std::any_of(there->lines.begin(), there->lines.end(), [&](const TrustLine& other) {
      return other.key == line.key && other.principal == line.principal;
    });
    if (!known_) {  // what could not be added is found out before anything is written
      const auto text = read_file(trust_file(), kMaxTrustFile);
      if (auto good = with_trust_line(trust_file(), text ? *text : "", line); !good)
        return tl::unexpected(good.error());
    }
    line_ = std::move(line);
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
    proven_ = true;
    return {};
  }

  Result<std::vector<std::string>> words(const std::vector<std::string>& given, std::string_view question,
                                         std::string_view otherwise, const Check& check) {
    if (!given.empty() || !asks()) return given;
    const auto answer = ask(question, otherwise, check);
    if (!answer) return tl::unexpected(answer.error());
    return words_of(*answer);
  }

  // The role as asked for, into `text_`; nothing where there is a policy already.
  Result<void> plan_role() {
    gates_ = options_.gates;
    exempt_ = options_.exempt.empty() ? std::vector<std::string>{"root"} : options_.exempt;
    if (auto good = parse_exempt(joined_by_comma(exempt_)); !good) return tl::unexpected(good.error());
    for (const auto& service : gates_) {
      if (auto good = check_service_name(service); !good) return tl::unexpected(good.error());
    }
    const auto dir = open_dir(policy_dir());
    if (!dir) return tl::unexpected(dir.error());
    const auto names = list_dir(dir->get());
    if (!names) return tl::unexpected(names.error());
    has_policy_ = std::any_of(names->begin(), names->end(), [](const std::string& name) {
      return name.ends_with(".toml") && !name.starts_with(".");
    });
    if (has_policy_) {
      if (!options_.role.empty())
        complain(context_, policy_dir() + " has a policy already; no first role is written");
      return {};
    }
    FirstRole first;
    first.role = options_.role;
    first.approver = approver_;
    if (first.role.empty() && asks() && !approver_.empty()) {
      auto answer = ask("A first role (a name; nothing to skip)", "", [](const std::string& name) {
        return name.empty() ? Result<void>() : check_policy_name(name, "role");
      });
      if (!answer) return tl::unexpected(answer.error());
      first.role = std::move(*answer);
    }
    if (first.role.empty()) return {};
    if (approver_.empty()) return fail(Errc::invalid, "a first role needs a first approver: --approver NAME=KEYFILE");
    const Check anything = [](const std::string&) { return Result<void>(); };
    auto groups = words(options_.groups, "Groups of this host that it gives (commas between)", "", anything);
    if (!groups) return tl::unexpected(groups.error());
    auto eligible =
        words(options_.eligible, "Who may ask for it (users, and @group)", "", [](const std::string& answer) {
          if (!words_of(answer).empty()) return Result<void>();
          return Result<void>(fail(Errc::invalid, "somebody must be able to ask for the role"));
        });
    if (!eligible) return tl::unexpected(eligible.error());
    if (eligible->empty())
      return fail(Errc::invalid, "somebody must be able to ask for the role: --eligible USER or @GROUP");
    auto gates = words(options_.gates, "Services to watch with a gate, in observe mode (nothing for none: -)", "sudo",
                       [](const std::string& answer) {
                         for (const auto& service : words_of(answer)) {
                           if (auto good = check_service_name(service); !good && answer != "-") return good;
                         }
                         return Result<void>();
                       });
    if (!gates) return tl::unexpected(gates.error());
    if (*gates == std::vector<std::string>{"-"}) gates->clear();
    gates_ = std::move(*gates);
    if (!gates_.empty()) {
      auto exempt = words(options_.exempt, "Local accounts and @groups that no gate asks (a way in for emergencies)",
                          "root", [](const std::string& answer) {
                            const auto good = parse_exempt(joined_by_comma(words_of(answer)));
                            return good ? Result<void>() : tl::unexpected(good.error());
                          });
      if (!exempt) return tl::unexpected(exempt.error());
      if (!exempt->empty()) exempt_ = std::move(*exempt);
    }
    first.groups = std::move(*groups);
    first.eligible = std::move(*eligible);
    first.gates = gates_;
    first.exempt = exempt_;
    auto text = first_policy(first);
    if (!text) return tl::unexpected(text.error());
    if (const auto policy = load_policy({{"the first policy", *text}})) {
      for (const auto& problem : host_problems(*policy, context_.places.etc))
        complain(context_, "warning: " + problem);
    }
    text_ = std::move(*text);
    role_ = first.role;
    who_ = first.eligible.front();
    return {};
  }

  Result<void> write_host() {
    if (!config_.empty()) {
      if (auto written = write(context_.places.etc_jit, "jitd.toml", config_); !written) return written;
    }
    did(fmt::format("host: {} ({}/jitd.toml)", host_, context_.places.etc_jit));
    if (!info_) return {};
    info_->host = host_;
    did(fmt::format("host key: {}", info_->host_key));
    did("approvers elsewhere need this line in ~/.config/jit/hosts: " + hosts_line(*info_));
    return {};
  }

  Result<void> write_approver() {
    if (!line_) return {};
    if (!known_) {
      if (auto added = add_trust_line(trust_file(), *line_); !added) return added;
    }
    did(fmt::format("approver: {} with {} ({}){}", approver_, fingerprint(line_->key), trust_file(),
                    proven_ ? ", who can sign" : ", unproven"));
    return {};
  }

  Result<void> write_role() {
    if (text_.empty()) return {};
    if (auto written = write(policy_dir(), "10-first.toml", text_); !written) return written;
    did(fmt::format("role: {} ({}/10-first.toml)", role_, policy_dir()));
    return {};
  }

  // Lines in observe mode only: they refuse nobody. enforce is a step of its own, with its own proofs.
  Result<void> write_gates() {
    for (const auto& service : gates_) {
      // Lines that stand keep their exempt= unless another was asked for.
      const bool says = !options_.exempt.empty() || !text_.empty();
      const auto files = set_gate(
          pam_dir(context_), service, GateMode::observe,
          says
              ? std::vector<std::string>{"exempt=" + exempt_with_mailbox(context_, service, joined_by_comma(exempt_))}
              : std::vector<std::string>{});
      if (!files) return tl::unexpected(files.error());
      for (const auto& file : *files) did(fmt::format("{}/{}: observe", pam_dir(context_), file));
    }
    return {};
  }

  // jitd reads what was written a moment later; the next command in a script already counts on it.
  void wait_until_read() {
    const bool new_approver = line_ && !known_;
    if (!new_approver && text_.empty()) return;
    const auto policy = read_policy(context_.places);
    const auto until = std::chrono::steady_clock::now() + kReadSoon;
    for (; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(kAskAgain)) {
      const auto health = ask_jitd(context_, wire::Verb::health, {}, kReadSoon);
      if (!health) return;  // it does not run, and reads them when it starts
      const bool policy_read = !policy || health->value("policy_digest") == digest_text(policy->digest);
      const auto warnings = health->result.all(wire::Tag::warning);
      const bool nobody = std::ranges::any_of(
          warnings, [](const std::string& warning) { return warning.starts_with("nobody is trusted to approve"); });
      if (policy_read && !(new_approver && nobody)) return;
    }
  }

  void say_what_is_left() {
    std::vector<std::string> left;
    if (approver_.empty()) left.emplace_back("an approver: jitctl setup --approver NAME=KEYFILE");
    if (!has_policy_ && text_.empty()) {
      left.emplace_back("a first role: jitctl setup --role NAME --eligible USER --groups GROUP, or a file in " +
                        policy_dir());
    }
    if (context_.json) {
      JsonObject object;
      object.text("host", host_).text("approver", approver_).text("role", role_);
      context_.out << object.texts("done", done_).texts("left", left).str() << '\n';
      return;
    }
    for (const auto& what : left) context_.out << "Still to do: " << shown(what) << '\n';
    if (!role_.empty()) {
      context_.out << fmt::format("\nTry it:  jitctl request {} -m \"first try\"      as {}\n", shown(role_),
                                  shown(who_));
      context_.out << fmt::format("         jitctl pending; jitctl approve ID      as {}\n", shown(approver_));
    }
    context_.out << "Then:    jitctl doctor\n";
  }

  Context& context_;
  const Options& options_;
  std::optional<HostInfo> info_;
  std::optional<TrustLine> line_;  // of the approver, to be added
  bool known_ = false, proven_ = false, has_policy_ = false;
  std::string host_, config_, approver_, role_, text_, who_ = "somebody eligible";
  std::vector<std::string> gates_, exempt_, done_;
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
                   "The approver's test signature: echo 'jit test for HOST' | ssh-keygen -Y sign -n jit-test -f KEY")
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
  command
      ->add_option("--exempt", options->exempt, "Local accounts and @groups that the gates never ask (default: root)")
      ->delimiter(',')
      ->type_name("LIST");
  command->add_flag("--yes", options->yes, "Ask nothing");
}

}  // namespace jit::ctl
