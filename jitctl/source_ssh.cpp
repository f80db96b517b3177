#include "jitctl/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "jitctl/gate.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/ssh_mailbox.hpp"
#include "jitd/gates/lines.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

constexpr std::size_t kMaxDropIn = std::size_t{64} * 1024;
constexpr const char* kDropInName = "50-jit.conf";

// Whether sshd takes its configuration as it stands.
Result<void> sshd_takes(Context& context) {
  SpawnRequest request;
  request.argv = {sshd_program(context), "-t"};
  const auto outcome = context.spawn.run(request);
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->exit_status != 0) return fail(Errc::refused, "sshd -t: " + shown(outcome->err, 512));
  return {};
}

// Tells the service, by whichever of its names it runs. One that does not run reads its configuration when it does.
Result<void> reload_sshd(Context& context) {
  if (!systemd_is_init(context)) {
    complain(context, "no systemd here: tell sshd yourself to read its configuration again (SIGHUP)");
    return {};
  }
  const auto systemctl = [&](const char* verb, const char* unit) {
    SpawnRequest request;
    request.argv = {context.places.usr + "/bin/systemctl", "--quiet", verb, unit};
    request.deadline = std::chrono::seconds(30);
    return context.spawn.run(request);
  };
  for (const char* unit : {"ssh.service", "sshd.service"}) {
    const auto active = systemctl("is-active", unit);
    if (!active) return tl::unexpected(active.error());
    if (active->exit_status != 0) continue;
    const auto reloaded = systemctl("reload", unit);
    if (!reloaded) return tl::unexpected(reloaded.error());
    if (reloaded->exit_status != 0)
      return fail(Errc::system, fmt::format("systemctl reload {}: {}", unit, shown(reloaded->err, 512)));
    return {};
  }
  return {};
}

Result<UniqueFd> drop_in_folder(const Context& context) {
  const auto path = mailbox_drop_in(context);
  return open_dir(path.substr(0, path.rfind('/')));
}

// The drop-in's text; nullopt: there is none.
Result<std::optional<std::string>> read_drop_in(const Context& context) {
  auto text = read_file(mailbox_drop_in(context), kMaxDropIn);
  if (text) return std::optional<std::string>(std::move(*text));
  if (text.error().code == Errc::not_found) return std::optional<std::string>();
  return tl::unexpected(text.error());
}

Result<void> write_drop_in(const Context& context, const std::optional<std::string>& text) {
  const auto folder = drop_in_folder(context);
  if (!folder) {
    return within(
        "sshd of this host reads no files of a folder; its sshd_config needs the line \"Include "
        "/etc/ssh/sshd_config.d/*.conf\" at its start",
        folder.error());
  }
  if (text) return replace_file(system_files(), folder->get(), kDropInName, *text, FileMode{0644, ::geteuid(), 0});
  if (::unlinkat(folder->get(), kDropInName, 0) != 0 && errno != ENOENT)
    return fail_errno(errno, mailbox_drop_in(context));
  return {};
}

// Everything that can be known beforehand. The settings of anybody, to be held against those afterwards.
Result<SshdSettings> ready_for_mailbox(Context& context) {
  if (const auto problems = account_problems(context); !problems.empty())
    return fail(Errc::refused, joined(problems, "; "));
  if (auto takes = sshd_takes(context); !takes)
    return within("sshd would not start with its configuration as it is; mend that first", takes.error());
  const auto jit = sshd_settings(context, std::string(kMailboxAccount));
  if (!jit) return tl::unexpected(jit.error());
  if (const auto problems = access_problems(context, *jit); !problems.empty())
    return fail(Errc::refused, joined(problems, "; "));
  return sshd_settings(context, "root");
}

// Whether the drop-in, which was just written, does what it should and nothing else.
Result<void> check_drop_in(Context& context, const std::string& text, const SshdSettings& before) {
  if (auto takes = sshd_takes(context); !takes) return takes;
  const auto jit = sshd_settings(context, std::string(kMailboxAccount));
  if (!jit) return tl::unexpected(jit.error());
  if (const auto problems = setting_problems(text, *jit); !problems.empty())
    return fail(Errc::refused, joined(problems, "; "));
  const auto others = sshd_settings(context, "root");
  if (!others) return tl::unexpected(others.error());
  if (*others != before) return fail(Errc::refused, "it changes what sshd does with others than jit");
  return {};
}

// sshd's lines, if there are any, let the account pass.
Result<std::vector<std::string>> exempt_mailbox(Context& context, bool exempt) {
  auto files = exempt_in_gate(pam_dir(context), "sshd", kMailboxAccount, exempt);
  if (!files || !exempt) return files;
  const auto gated = mailbox_is_gated(context);
  if (!gated) return tl::unexpected(gated.error());
  if (*gated)
    return fail(Errc::refused, "sshd's gate asks jit for a grant: jitctl gate observe sshd --exempt root,jit");
  return files;
}

void say(Context& context, bool on, const std::vector<std::string>& files) {
  if (context.json) {
    context.out << JsonObject().boolean("on", on).text("file", mailbox_drop_in(context)).texts("exempt", files).str()
                << '\n';
    return;
  }
  context.out << mailbox_drop_in(context) << (on ? ": written, and sshd goes by it\n" : ": gone, and sshd knows\n");
  for (const auto& file : files)
    context.out << fmt::format("{}/{}: jit is {}\n", pam_dir(context), shown(file), on ? "exempt" : "not exempt");
}

Outcome on(Context& context) {
  if (auto root = need_root(context, "opening the mailbox to ssh"); !root) return tl::unexpected(root.error());
  const auto before = ready_for_mailbox(context);
  if (!before) return tl::unexpected(before.error());
  const auto packaged = read_file(mailbox_template(context), kMaxDropIn);
  if (!packaged) return tl::unexpected(packaged.error());
  const auto earlier = read_drop_in(context);
  if (!earlier) return tl::unexpected(earlier.error());
  const auto files = exempt_mailbox(context, true);
  if (!files) return tl::unexpected(files.error());

  const auto text = known_settings(*packaged, *before);
  auto done = write_drop_in(context, text);
  if (done) done = check_drop_in(context, text, *before);
  if (done) done = reload_sshd(context);
  if (!done) {
    // As it was, whatever of it was done.
    (void)write_drop_in(context, *earlier);
    if (!*earlier) (void)exempt_mailbox(context, false);
    (void)reload_sshd(context);
    return within("nothing was changed", done.error());
  }
  say(context, true, *files);
  if (!context.json) context.err << "People with a key in /etc/jit/trust reach it as ssh://jit@HOST.\n";
  return Exit::done;
}

Outcome off(Context& context) {
  if (auto root = need_root(context, "closing the mailbox to ssh"); !root) return tl::unexpected(root.error());
  if (!mailbox_is_on(context)) {
    const auto files = exempt_mailbox(context, false);
    if (!files) return tl::unexpected(files.error());
    say(context, false, *files);
    return Exit::done;
  }
  if (auto gone = write_drop_in(context, std::nullopt); !gone) return tl::unexpected(gone.error());
  if (auto reloaded = reload_sshd(context); !reloaded)
    return within("the file is gone, and sshd does not know yet", reloaded.error());
  const auto files = exempt_mailbox(context, false);
  if (!files) return tl::unexpected(files.error());
  say(context, false, *files);
  return Exit::done;
}

Outcome status(Context& context) {
  if (auto root = need_root(context, "sshd's configuration is root's, so it"); !root)
    return tl::unexpected(root.error());
  const bool is_on = mailbox_is_on(context);
  const auto problems = is_on ? mailbox_problems(context) : std::vector<std::string>{};
  if (context.json) {
    context.out
        << JsonObject().boolean("on", is_on).text("file", mailbox_drop_in(context)).texts("problems", problems).str()
        << '\n';
  } else {
    context.out << (is_on ? "The mailbox is open to ssh.\n"
                          : "The mailbox is not open to ssh: jitctl source ssh on\n");
    for (const auto& problem : problems) context.out << "  " << shown(problem) << '\n';
  }
  return problems.empty() ? Exit::done : Exit::failed;
}

}  // namespace

void add_source_ssh(Commands& commands, Command* source) {
  auto& context = commands.context();
  auto* family = commands.add_family_below(source, "ssh", "The mailbox of this host over ssh");
  commands.add_below(family, "on", "Let people with a key in /etc/jit/trust reach it as ssh://jit@HOST",
                     [&context] { return on(context); });
  commands.add_below(family, "off", "Close it again", [&context] { return off(context); });
  commands.add_below(family, "status", "Whether it is open, and what is not as it should be",
                     [&context] { return status(context); });
}

}  // namespace jit::ctl
