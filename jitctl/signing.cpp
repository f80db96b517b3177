#include "jitctl/signing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "jitctl/approver_config.hpp"
#include "jitctl/paper.hpp"
#include "jitd/sys/files.hpp"
#include "policy/document/envelope.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxPublicKey = 16 * 1024;

// What ssh-keygen and ssh-add need of our environment, and nothing else of it.
std::vector<std::string> child_environment(const Context& context) {
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  for (const char* name :
       {"HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_SK_PROVIDER", "DISPLAY",
        "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "TERM", "LANG", "LC_ALL", "GPG_TTY"}) {
    if (const auto value = context.env(name)) environment.push_back(fmt::format("{}={}", name, *value));
  }
  return environment;
}

// "TYPE BASE64 [comment]" to a choice; lines with keys that we do not take are not offered.
std::optional<KeyChoice> choice_of_line(std::string_view line) {
  auto key = parse_public_key_line(line);
  if (!key) return std::nullopt;
  KeyChoice choice;
  choice.key = std::move(*key);
  const auto type_end = line.find(' ');
  const auto key_end = type_end == std::string_view::npos ? type_end : line.find(' ', type_end + 1);
  if (key_end != std::string_view::npos) choice.name = line.substr(key_end + 1);
  while (!choice.name.empty() && (choice.name.back() == '\n' || choice.name.back() == '\r')) choice.name.pop_back();
  return choice;
}

std::optional<std::string> public_key_beside(const std::string& private_key) {
  auto text = read_file(private_key.ends_with(".pub") ? private_key : private_key + ".pub", kMaxPublicKey);
  if (!text) return std::nullopt;
  return std::move(*text);
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

std::vector<KeyChoice> own_keys(Context& context) {
  std::vector<KeyChoice> keys;
  if (context.env("SSH_AUTH_SOCK")) {
    SpawnRequest request;
    request.argv = {kSshAdd, "-L"};
    request.environment = child_environment(context);
    const auto listed = context.spawn.run(request);
    if (listed && listed->exit_status == 0) {
      for (const auto line : split(listed->out, '\n')) {
        auto choice = choice_of_line(line);
        if (!choice) continue;
        choice->from_agent = true;
        keys.push_back(std::move(*choice));
      }
    }
  }
  const auto ssh = home_of(context) + "/.ssh";
  if (const auto dir = open_dir(ssh)) {
    const auto names = list_dir(dir->get());
    for (const auto& name : names ? *names : std::vector<std::string>{}) {
      if (!name.starts_with("id_") || !name.ends_with(".pub")) continue;
      const auto file = ssh + "/" + name.substr(0, name.size() - 4);
      const auto text = public_key_beside(file);
      auto choice = text ? choice_of_line(first_line(*text)) : std::nullopt;
      if (!choice || !std::filesystem::exists(file)) continue;
      choice->file = file;
      choice->name = file;
      keys.push_back(std::move(*choice));
    }
  }
  return keys;
}

Result<KeyChoice> choose_key(Context& context, const std::string& named, std::string_view name_space) {
  auto option = named;
  if (option.empty()) {
    const auto config = read_approver_config(context);
    if (!config) return tl::unexpected(config.error());
    option = config->key;
  }
  if (!option.empty()) {
    KeyChoice choice;
    choice.file = option;
    choice.name = option;
    if (!std::filesystem::exists(option)) return fail(Errc::not_found, fmt::format("{}: no such key", option));
    if (const auto text = public_key_beside(option)) {
      auto key = parse_public_key_line(first_line(*text));
      if (!key) return within(option, key.error());
      choice.key = std::move(*key);
    }
    return choice;
  }
  auto keys = own_keys(context);
  if (keys.empty()) {
    return fail(
        Errc::not_found,
        "no SSH key to sign with: none in the agent (ssh-add -L) and none as ~/.ssh/id_*; name one with --key");
  }
  const auto trust = read_trust(context.places.etc_jit + "/trust/approvers");
  if (!trust || trust->lines.empty()) return keys.front();
  const auto now = context.now();
  const KeyChoice* trusted = nullptr;
  for (const auto& choice : keys) {
    for (const auto& line : trust->lines) {
      if (line.key != *choice.key || !line.allows_namespace(name_space) || !line.valid_at(now)) continue;
      if (line.principal == context.user) return choice;
      if (trusted == nullptr) trusted = &choice;
    }
  }
  return trusted != nullptr ? *trusted : keys.front();
}

Result<std::string> sign_bytes(Context& context, const KeyChoice& key, std::string_view payload,
                               std::string_view name_space) {
  if (auto clean = parse_payload_text(payload); !clean) return within("not signed", clean.error());
  const auto scratch = ScratchDir::make(context);
  if (!scratch) return tl::unexpected(scratch.error());
  const auto message = scratch->put("payload", payload);
  if (!message) return tl::unexpected(message.error());
  auto file = key.file;
  if (key.from_agent) {
    const auto written = scratch->put("key.pub", public_key_line(*key.key) + "\n");
    if (!written) return tl::unexpected(written.error());
    file = *written;
  }

  SpawnRequest request;
  request.argv = {kSshKeygen, "-q", "-Y", "sign", "-f", file, "-n", std::string(name_space), *message};
  request.environment = child_environment(context);
  request.keep_terminal = true;
  request.deadline = std::chrono::minutes(5);  // somebody looks for their security key
  const auto outcome = context.spawn.run(request);
  if (!outcome) return within("signing", {Errc::system, outcome.error().message, outcome.error().errnum});
  if (outcome->exit_status != 0) {
    const auto detail = outcome->err.empty() ? std::string() : ": " + shown(first_line(outcome->err));
    return fail(Errc::system, fmt::format("ssh-keygen did not sign with {} (exit status {}){}", key.name,
                                          outcome->exit_status, detail));
  }
  const auto armored = read_file(*message + ".sig", kMaxPublicKey);
  if (!armored) return within("ssh-keygen left no signature", armored.error());
  auto blob = parse_armor(*armored);
  if (!blob) return blob;
  const auto signature = parse_signature(*blob);
  if (!signature) return tl::unexpected(signature.error());
  if (key.key && signature->key != *key.key) {
    return fail(Errc::invalid,
                fmt::format("{}: ssh-keygen signed with another key than the one beside it", key.name));
  }
  if (auto good = verify(*signature, payload, name_space); !good) {
    return fail(Errc::invalid, "the new signature: " + good.error().message);
  }
  return blob;
}

Result<void> sign_as_yourself(const Context& context) {
  const auto sudo = context.env("SUDO_UID");
  if (context.uid != 0 || !sudo || *sudo == "0") return {};
  return fail(Errc::refused, "sign as yourself, without sudo: a signature counts for the person whose key it is");
}

std::string test_text(std::string_view host) {
  return fmt::format("jit test for {}\n", host);
}

Result<TrustLine> check_proof(std::string_view armored, std::string_view host, const TrustFile& approvers,
                              WallTime now) {
  const auto blob = parse_armor(armored);
  if (!blob) return tl::unexpected(blob.error());
  const auto signature = parse_signature(*blob);
  if (!signature) return tl::unexpected(signature.error());
  const auto line = std::find_if(approvers.lines.begin(), approvers.lines.end(), [&](const TrustLine& candidate) {
    return candidate.key == signature->key && candidate.valid_at(now) &&
           candidate.allows_namespace(kind_namespace(Kind::review));
  });
  if (line == approvers.lines.end()) {
    return fail(Errc::refused, fmt::format("the proof's key {} may not review by {}; add it with: jitctl trust add",
                                           fingerprint(signature->key), approvers.path));
  }
  if (auto good = verify(*signature, test_text(host), kTestNamespace); !good)
    return within("the proof", good.error());
  return *line;
}

}  // namespace jit::ctl
