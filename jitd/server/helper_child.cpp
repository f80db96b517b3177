#include "jitd/server/helper_child.hpp"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "jitd/effects/dropins.hpp"
#include "jitd/effects/still_allowed.hpp"
#include "policy/document/effects.hpp"
#include "policy/names.hpp"
#include "policy/result.hpp"
#include "policy/text.hpp"

namespace jit {
namespace {

constexpr int kIdleMs = 30000;
constexpr std::size_t kMaxBuffer = 4 * 1024 * 1024;  // for one passwd or group entry
constexpr int kMaxGroups = 65536;                    // NGROUPS_MAX

HelperMessage failure(std::uint32_t id, const Error& error) {
  return {1U + static_cast<std::uint32_t>(error.code), id, {error.message}};
}

// Calls a getXXX_r function with a buffer that grows while it says ERANGE. `found` is false when there is no such
// entry.
template <class Entry, class Call>
Result<bool> lookup(Entry& entry, std::vector<char>& buffer, const std::string& what, Call call) {
  buffer.resize(4096);
  for (;;) {
    Entry* result = nullptr;
    const int rc = call(&entry, buffer.data(), buffer.size(), &result);
    if (rc == EINTR) continue;
    if (rc == ERANGE && buffer.size() < kMaxBuffer) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    // getpwnam(3): what else it may say when there is no such entry.
    if (rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM) return rc == 0 && result != nullptr;
    return fail_errno(rc, "cannot look up " + what);
  }
}

Result<std::vector<std::string>> groups_of(const char* name, gid_t gid) {
  std::vector<gid_t> ids(64);
  for (;;) {
    int count = static_cast<int>(ids.size());
    if (::getgrouplist(name, gid, ids.data(), &count) >= 0) {
      ids.resize(static_cast<std::size_t>(count));
      break;
    }
    if (count <= static_cast<int>(ids.size()) || count > kMaxGroups)
      return fail(Errc::unavailable, "cannot look up the groups of " + shown(name));
    ids.resize(static_cast<std::size_t>(count));
  }
  std::vector<std::string> names;
  std::vector<char> buffer;
  for (const gid_t id : ids) {
    group entry{};
    const auto found =
        lookup(entry, buffer, "group " + std::to_string(id),
               [&](auto* e, char* b, std::size_t n, auto** r) { return ::getgrgid_r(id, e, b, n, r); });
    if (!found) return tl::unexpected(found.error());
    if (*found) names.emplace_back(entry.gr_name);  // a gid without a name is no group that a policy could mean
  }
  return names;
}

template <class Call>
HelperMessage account(std::uint32_t id, const std::string& what, Call call) {
  passwd entry{};
  std::vector<char> buffer;
  const auto found = lookup(entry, buffer, what, call);
  if (!found) return failure(id, found.error());
  if (!*found) return failure(id, Error{Errc::not_found, "there is no account " + what, 0});
  const auto groups = groups_of(entry.pw_name, entry.pw_gid);
  if (!groups) return failure(id, groups.error());
  HelperMessage answer{0, id, {entry.pw_name, std::to_string(entry.pw_uid), std::to_string(entry.pw_gid)}};
  answer.texts.insert(answer.texts.end(), groups->begin(), groups->end());
  return answer;
}

HelperMessage yes_or_no(std::uint32_t id, const Result<bool>& result) {
  if (!result) return failure(id, result.error());
  return {0, id, {*result ? "yes" : "no"}};
}

HelperMessage readback(const HelperMessage& question, Spawn& spawn) {
  const auto effects = parse_effects(question.texts[1]);
  if (!effects) return failure(question.id, effects.error());
  const auto right =
      Dropins::readback(spawn, find_sudos(spawn), question.texts[0], *effects, question.texts[2], kDropinDir);
  if (right) return {0, question.id, {"yes"}};
  return failure(question.id, right.error());
}

// A standing rule that any of the installed sudos knows counts.
HelperMessage standing_rule(const HelperMessage& question, Spawn& spawn) {
  for (const SudoTool& tool : find_sudos(spawn)) {
    const auto has = Dropins::has_standing_rule(spawn, tool, question.texts[0]);
    if (!has || *has) return yes_or_no(question.id, has);
  }
  return yes_or_no(question.id, false);
}

// Of all the installed sudos: by which one it was started is not known.
HelperMessage still_allowed_by_all(const HelperMessage& question, Spawn& spawn) {
  std::vector<std::string> words(question.texts.begin() + 2, question.texts.end());
  if (words == std::vector<std::string>{"-i"}) {
    passwd entry{};
    std::vector<char> buffer;
    const auto found = lookup(entry, buffer, question.texts[1], [&](auto* e, char* b, std::size_t n, auto** r) {
      return ::getpwnam_r(question.texts[1].c_str(), e, b, n, r);
    });
    if (!found || !*found) return yes_or_no(question.id, false);
    words = {entry.pw_shell};
  }
  const auto tools = find_sudos(spawn);
  for (const SudoTool& tool : tools) {
    const auto allowed = still_allowed(spawn, tool, question.texts[0], question.texts[1], words);
    if (!allowed || !*allowed) return yes_or_no(question.id, allowed);
  }
  return yes_or_no(question.id, !tools.empty());
}

}  // namespace

HelperMessage answer_question(const HelperMessage& question, Spawn& spawn) {
  const auto texts = question.texts.size();
  switch (static_cast<Ask>(question.kind)) {
    case Ask::account_of_uid:
      if (texts == 1)
        if (const auto uid = parse_number(question.texts[0], UINT32_MAX - 1))
          return account(question.id, "with uid " + question.texts[0],
                         [&](auto* e, char* b, std::size_t n, auto** r) {
                           return ::getpwuid_r(static_cast<uid_t>(*uid), e, b, n, r);
                         });
      break;
    case Ask::account_of_name:
      if (texts == 1)
        return account(question.id, shown(question.texts[0]), [&](auto* e, char* b, std::size_t n, auto** r) {
          return ::getpwnam_r(question.texts[0].c_str(), e, b, n, r);
        });
      break;
    case Ask::readback:
      if (texts == 3) return readback(question, spawn);
      break;
    case Ask::standing_rule:
      if (texts == 1) return standing_rule(question, spawn);
      break;
    case Ask::still_allowed:
      if (texts >= 3) return still_allowed_by_all(question, spawn);
      break;
  }
  return failure(question.id, Error{Errc::invalid, "the helper was asked something that it does not know", 0});
}

int helper_main(int socket) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)::prctl(PR_SET_NAME, "jitd-helper");
  SystemSpawn spawn;
  std::string buffer(kMaxHelperMessage + 1, '\0');
  for (;;) {
    pollfd wait{socket, POLLIN, 0};
    const int ready = ::poll(&wait, 1, kIdleMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return ready == 0 ? 0 : 1;
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), MSG_TRUNC);
    if (size == 0) return 0;
    if (size < 0 || static_cast<std::size_t>(size) > buffer.size()) return 1;
    const auto question = decode_helper_message(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)));
    if (!question) return 1;
    std::string answer = encode(answer_question(*question, spawn));
    if (answer.empty()) answer = encode(failure(question->id, Error{Errc::unavailable, "the answer is too long", 0}));
    if (::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return 1;
  }
}

}  // namespace jit
