#include "jitd/core/host.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "jitd/core/deliveries.hpp"
#include "jitd/core/last_good.hpp"
#include "jitd/sys/files.hpp"
#include "jitd/sys/own_files.hpp"
#include "policy/names.hpp"
#include "policy/rules/load.hpp"
#include "policy/rules/people.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr std::size_t kMaxConfigFile = std::size_t{64} * 1024;
constexpr std::size_t kMaxKeyFile = std::size_t{16} * 1024;
constexpr std::size_t kMaxPolicyFiles = 1000;

bool missing(const Error& error) {
  return error.code == Errc::not_found;
}

FileMode own_mode(mode_t mode) {
  return {mode, ::geteuid(), ::getegid()};
}

// As VAR/last-good keeps them: a file of policy.d by name alone.
std::vector<PolicyText> by_name(std::vector<PolicyText> files, const std::string& dir) {
  for (PolicyText& file : files)
    if (file.file.starts_with(dir + "/")) file.file.erase(0, dir.size() + 1);
  return files;
}

Result<Policy> load_kept(const std::string& dir, std::vector<PolicyText> files) {
  for (PolicyText& file : files)
    if (file.file.find('/') == std::string::npos) file.file.insert(0, dir + "/");
  return load_policy(std::move(files));
}

// The policy of the files; failing that, the last that loaded: `before`'s, or at a start the one kept in VAR.
Result<void> load_policy_into(HostView& view, const Paths& paths, const HostView* before) {
  const std::string dir = paths.etc_jit + "/policy.d";
  auto files = read_policy_files(paths);
  if (files && view.delivered_policy.damaged) files = fail(Errc::invalid, view.delivered_policy.why_not);
  if (files)
    for (PolicyText& file : delivered_policy(view.delivered_policy)) files->push_back(std::move(file));
  auto policy = files ? load_policy(*files) : Result<Policy>(tl::unexpected<Error>(files.error()));
  if (policy) {
    view.policy = std::move(*policy);
    if (auto kept = keep_last_good(paths.var, by_name(*files, dir)); !kept)
      view.warnings.push_back("the policy could not be kept for the next start: " + kept.error().message);
    return {};
  }
  view.last_good = true;
  view.policy_error = policy.error().message;
  if (before != nullptr) {
    view.policy = before->policy;
    return {};
  }
  const auto kept = read_last_good(paths.var);
  auto last = kept ? load_kept(dir, *kept) : Result<Policy>(tl::unexpected<Error>(kept.error()));
  if (!last) {
    // Without any policy there would be no gates, and everybody would be let in.
    return fail(Errc::invalid, view.policy_error + "; and there is no last good policy to go on with (" +
                                   last.error().message + ")");
  }
  view.policy = std::move(*last);
  return {};
}

// What parses is the trust. A file that others may write is nobody's word.
TrustFile read_trust(const Paths& paths, const std::string& name, std::vector<std::string>& warnings) {
  const std::string dir_path = paths.etc_jit + "/trust";
  const std::string path = dir_path + "/" + name;
  const auto dir = open_own_dir(dir_path);
  const auto text = dir ? read_own_file(dir->get(), name, kMaxTrustFile, path)
                        : Result<std::string>(tl::unexpected<Error>(dir.error()));
  if (!text) {
    warnings.push_back(std::string(kNobodyApproves) + text.error().message);
    return parse_trust(path, "");
  }
  TrustFile file = parse_trust(path, *text);
  for (const Error& bad : file.bad) warnings.push_back(bad.message);
  if (file.lines.empty()) warnings.push_back(std::string(kNobodyApproves) + path + " has no usable line");
  return file;
}

// Who may ask from elsewhere: on most hosts nobody, which is nothing to warn of.
TrustFile read_requesters(const Paths& paths, std::vector<std::string>& warnings) {
  const std::string dir_path = paths.etc_jit + "/trust";
  const std::string path = dir_path + "/requesters";
  const auto dir = open_own_dir(dir_path);
  if (!dir) return parse_trust(path, "");  // said of the approvers
  const auto text = read_own_file(dir->get(), "requesters", kMaxTrustFile, path);
  if (!text && !missing(text.error())) warnings.push_back("nobody can ask from elsewhere: " + text.error().message);
  TrustFile file = parse_trust(path, text.value_or(""));
  for (const Error& bad : file.bad) warnings.push_back(bad.message);
  return file;
}

void warn_of_keys(HostView& view) {
  const std::set<std::string> voided = void_keys(view.policy, view.trust.all());
  for (const TrustFile* trusted : {&view.trust.approvers, &view.trust.requesters}) {
    for (const TrustLine& line : trusted->lines) {
      const std::string& file = line.file.empty() ? trusted->path : line.file;
      const std::string where = file + ":" + std::to_string(line.line) + ": ";
      if (voided.contains(line.key.blob))
        view.warnings.push_back(where + "the key " + fingerprint(line.key) +
                                " stands under two persons and counts for nobody");
      if (!person_of_principal(view.policy, line.principal))
        view.warnings.push_back(
            where + "principal " + shown(line.principal, 256) +
            " is nobody: [people] has an entry of that name that lists neither such a user nor such "
            "a principal");
    }
  }
}

TrustFile own_key_trust(const std::string& host, const PublicKey& key) {
  TrustLine line;
  line.principal = host;
  line.key = key;
  line.namespaces = {std::string(kind_namespace(Kind::request)), std::string(kind_namespace(Kind::event))};
  return {"the host's own key", {std::move(line)}, {}};
}

// A new key, durable in its file.
Result<SigningKey> fresh_key(int var) {
  auto key = SigningKey::generate();
  if (!key) return key;
  const auto pem = key->to_pem();
  if (!pem) return tl::unexpected<Error>(pem.error());
  if (auto kept = replace_file(system_files(), var, "host_key", *pem, own_mode(0600)); !kept)
    return tl::unexpected<Error>(kept.error());
  return key;
}

// The key with its public half beside it, for people.
Result<std::shared_ptr<SigningKey>> with_public_half(int var, const std::string& path, SigningKey key) {
  const std::string line = public_key_line(key.public_key()) + "\n";
  const auto beside = read_file_at(var, "host_key.pub", kMaxKeyFile);
  if (!beside || *beside != line) {
    if (auto kept = replace_file(system_files(), var, "host_key.pub", line, own_mode(0644)); !kept)
      return within(path + ".pub", kept.error());
  }
  return std::make_shared<SigningKey>(std::move(key));
}

}  // namespace

Result<std::vector<PolicyText>> read_policy_files(const Paths& paths) {
  const std::string path = paths.etc_jit + "/policy.d";
  const auto dir = open_own_dir(path);
  if (!dir) return tl::unexpected<Error>(dir.error());
  const auto names = list_dir(dir->get(), kMaxPolicyFiles);
  if (!names) return within(path, names.error());
  std::vector<PolicyText> files;
  for (const std::string& name : *names) {
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    const std::string file = path + "/" + shown(name, 300);
    auto text = read_own_file(dir->get(), name, kMaxPolicyFile, file);
    if (!text) return tl::unexpected<Error>(text.error());
    files.push_back({file, std::move(*text)});
  }
  return files;
}

Result<HostConfig> read_host_config(const Paths& paths) {
  const std::string path = paths.etc_jit + "/jitd.toml";
  const auto dir = open_own_dir(paths.etc_jit);
  if (!dir) return tl::unexpected<Error>(dir.error());
  const auto text = read_own_file(dir->get(), "jitd.toml", kMaxConfigFile, path);
  if (!text && missing(text.error())) return HostConfig{};
  if (!text) return tl::unexpected<Error>(text.error());
  return parse_host_config(*text, path);
}

Result<std::string> pinned_host(const HostConfig& config, const Paths& paths) {
  if (!config.host.empty()) return config.host;
  const auto dir = open_dir(paths.var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  const std::string path = paths.var + "/host";
  const auto pinned = read_own_file(dir->get(), "host", 1024, path);
  if (pinned) {
    const std::string name = pinned->substr(0, pinned->find('\n'));
    if (auto good = check_host_name(name); !good) return within(path, good.error());
    return name;
  }
  if (!missing(pinned.error())) return tl::unexpected<Error>(pinned.error());

  struct utsname kernel {};
  if (::uname(&kernel) != 0) return fail_errno(errno, "uname");
  const std::string name = kernel.nodename;
  const std::string advice = "; set host = \"NAME\" in " + paths.etc_jit + "/jitd.toml";
  if (name == "localhost" || name.starts_with("localhost.") || name == "(none)")
    return fail(Errc::invalid, "this host is called " + shown(name, 256) + ", as any other may be" + advice);
  if (auto good = check_host_name(name); !good) return fail(Errc::invalid, good.error().message + advice);
  if (auto kept = replace_file(system_files(), dir->get(), "host", name + "\n", own_mode(0644)); !kept)
    return within(path, kept.error());
  return name;
}

Result<std::shared_ptr<SigningKey>> host_key(const Paths& paths) {
  const std::string path = paths.var + "/host_key";
  const auto dir = open_dir(paths.var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  const auto pem = read_own_file(dir->get(), "host_key", kMaxKeyFile, path);
  if (!pem && !missing(pem.error())) return tl::unexpected<Error>(pem.error());

  struct stat status {};
  if (pem && (::fstatat(dir->get(), "host_key", &status, AT_SYMLINK_NOFOLLOW) != 0 || (status.st_mode & 077U) != 0))
    return fail(Errc::refused, path + ": may be read by others; run: chmod 0600 " + path);
  auto key = pem ? SigningKey::from_pem(*pem) : fresh_key(dir->get());
  if (!key) return within(path, key.error());
  return with_public_half(dir->get(), path, std::move(*key));
}

Result<std::shared_ptr<SigningKey>> new_host_key(const Paths& paths) {
  const std::string path = paths.var + "/host_key";
  const auto dir = open_dir(paths.var);
  if (!dir) return tl::unexpected<Error>(dir.error());
  auto key = fresh_key(dir->get());
  if (!key) return within(path, key.error());
  return with_public_half(dir->get(), path, std::move(*key));
}

std::shared_ptr<const HostView> with_identity(const HostView& view, SigningKey& key, const Machine& machine) {
  auto other = std::make_shared<HostView>(view);
  other->key = &key;
  other->host_key = fingerprint(key.public_key());
  other->machine = machine;
  other->trust.hosts = own_key_trust(other->config.host, key.public_key());
  return other;
}

Result<std::shared_ptr<const HostView>> load_host(const Paths& paths, const std::shared_ptr<SigningKey>& key,
                                                  const HostView* before, const Machine& machine) {
  auto view = std::make_shared<HostView>();
  auto config = read_host_config(paths);
  if (config) {
    const auto host = pinned_host(*config, paths);
    if (host) {
      config->host = *host;
    } else {
      config = tl::unexpected<Error>(host.error());
    }
  }
  if (!config && before == nullptr) return tl::unexpected<Error>(config.error());
  if (!config) view->warnings.push_back("the old configuration stays: " + config.error().message);
  view->config = config ? *config : before->config;
  read_deliveries(*view, paths);

  if (auto loaded = load_policy_into(*view, paths, before); !loaded) return tl::unexpected<Error>(loaded.error());
  view->warnings.insert(view->warnings.end(), view->policy.warnings.begin(), view->policy.warnings.end());
  view->trust.approvers = read_trust(paths, "approvers", view->warnings);
  view->trust.requesters = read_requesters(paths, view->warnings);
  view->machine = machine;
  view->trust.owners = view->config.owners.keys;
  add_delivered_trust(*view);
  view->key = key.get();
  view->host_key = fingerprint(key->public_key());
  view->trust.hosts = own_key_trust(view->config.host, key->public_key());
  warn_of_keys(*view);
  return view;
}

}  // namespace jit
