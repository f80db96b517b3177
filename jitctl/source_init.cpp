// jitctl source init: users, roles and permissions of an etcd cluster, for a host, an approver or somebody who asks.
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "jitctl/output.hpp"
#include "jitctl/source.hpp"
#include "jitd/sync/etcd_admin.hpp"
#include "jitd/sync/source_files.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct InitOptions {
  std::string url, host, approver, asker;
  std::vector<std::string> on, segments;
  std::string admin = "root", admin_password_file, ca, certificate, key, out;
  bool new_password = false, enable_auth = false, remove = false;
};

// 192 bits; etcd keeps a slow hash of at most 72 bytes of a password.
Result<std::string> make_password() {
  std::array<unsigned char, 24> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return fail(Errc::system, "no random numbers");
  return to_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// A new password, in a file that was not there before, 0600. It stays, whatever comes after: it may be the only copy
// of what etcd was given.
Result<std::string> write_password(const std::string& path) {
  auto password = make_password();
  if (!password) return password;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd && errno == EEXIST)
    return fail(Errc::invalid, shown(path) + ": is there already and is not overwritten; name another file");
  if (!fd) return fail_errno(errno, shown(path));
  auto written = write_at(system_files(), fd.get(), *password + "\n", 0, shown(path));
  if (written && ::fsync(fd.get()) != 0) written = fail_errno(errno, shown(path));
  if (written) return password;
  (void)::unlink(path.c_str());
  return tl::unexpected(written.error());
}

// What was done, told line by line or, with --json, at the end.
class Told {
 public:
  explicit Told(Context& context) : context_(context) {}
  void line(const std::string& text) {
    if (!context_.json) context_.out << shown(text) << '\n' << std::flush;
    lines_.push_back(text);
  }
  void wrote(const std::string& file, const std::string& user) {
    line("wrote the password of " + user + " to " + file);
    files_.push_back(file);
  }
  void finish() {
    if (context_.json)
      context_.out << JsonObject().texts("done", lines_).texts("password_files", files_).str() << '\n';
  }

 private:
  Context& context_;
  std::vector<std::string> lines_, files_;
};

Result<SourceSpec> cluster(const InitOptions& options) {
  auto spec = parse_source_url(options.url);
  if (!spec) return spec;
  if (spec->type != SourceSpec::Type::etcd)
    return fail(Errc::invalid,
                shown(options.url, 200) + ": only etcd has users to make (etcd+https://HOST:PORT/PREFIX)");
  if (options.certificate.empty() != options.key.empty())
    return fail(Errc::invalid, "--certificate and --key go together");
  spec->ca = options.ca;
  spec->certificate = options.certificate;
  spec->key = options.key;
  // Where root's password is to be made, nobody is anybody yet.
  const bool to_be_made = options.enable_auth && ::access(options.admin_password_file.c_str(), F_OK) != 0;
  if (!options.admin_password_file.empty() && !to_be_made) {
    spec->user = options.admin;
    spec->password_file = options.admin_password_file;
  }
  return spec;
}

Result<etcd::Account> account_of(const SourceSpec& spec, const InitOptions& options) {
  if (!options.host.empty()) return etcd::host_account(spec, options.host, options.segments);
  if (!options.approver.empty()) return etcd::approver_account(spec, options.approver);
  return etcd::asker_account(spec, options.asker, options.on, options.segments);
}

// What is wrong with the options as a whole; empty: nothing.
std::string mistake(const InitOptions& options) {
  const int who =
      (options.host.empty() ? 0 : 1) + (options.approver.empty() ? 0 : 1) + (options.asker.empty() ? 0 : 1);
  if (who > 1) return "one of --host, --approver and --asker at a time";
  if (who == 0 && !options.enable_auth) return "source init takes --host, --approver, --asker or --enable-auth";
  if (!options.asker.empty() && options.on.empty() && options.segments.empty() && !options.remove)
    return "--asker needs --on or --segment: the hosts that may be asked";
  if (!options.on.empty() && options.asker.empty()) return "--on goes with --asker";
  if (!options.segments.empty() && options.host.empty() && options.asker.empty())
    return "--segment goes with --host and --asker";
  if (options.remove && (who == 0 || options.enable_auth || options.new_password))
    return "--remove goes with --host, --approver or --asker alone";
  if (options.enable_auth && (options.admin_password_file.empty() || options.admin != "root"))
    return "--enable-auth needs --admin-password-file: root's password, or where a new one is to be written";
  return {};
}

// The account's user gets a password where it is new or to have another one.
Result<void> make_account(etcd::Admin& admin, const etcd::Account& account, const InitOptions& options, Told& told) {
  const auto there = admin.has_user(account.name);
  if (!there) return tl::unexpected(there.error());
  if (*there && !options.new_password) {
    if (!options.out.empty())
      told.line("not written: " + options.out + "; with --new-password the user would get another one");
    return admin.make(account, std::nullopt);
  }
  if (options.out.empty())
    return fail(Errc::invalid, "say with -o in which file the password of " + account.name + " is to be");
  const auto password = write_password(options.out);
  if (!password) return tl::unexpected(password.error());
  told.wrote(options.out, account.name);
  return admin.make(account, *password);
}

Result<void> remove_account(etcd::Admin& admin, const etcd::Account& account, Told& told) {
  if (auto removed = admin.remove(account); !removed) return removed;
  told.line("watches that " + account.name +
            " has open go on until their connections end: restart the members one by one, or cut it off");
  return {};
}

// With authentication off nobody's password can be tried, and with it on nobody gets in without: so root gets one
// that is known.
Result<void> enable_auth(etcd::Client& client, const InitOptions& options, Told& told) {
  etcd::Admin admin(client, [&](const std::string& line) { told.line(line); });
  const auto there = admin.has_user("root");
  if (!there) return tl::unexpected(there.error());
  const std::string& file = options.admin_password_file;
  const bool known = !client.spec().user.empty();
  if (known && client.logged_in()) {
    told.line("as it was: authentication is on");
    return {};
  }
  if (*there && !options.new_password)
    return fail(Errc::invalid,
                "etcd has a user root, and while authentication is off its password cannot be tried: "
                "with --new-password root gets the one in " +
                    shown(file));
  const auto password = known ? read_password_file(file) : write_password(file);
  if (!password) return tl::unexpected(password.error());
  if (!known) told.wrote(file, "root");
  SourceSpec spec = client.spec();
  spec.user = "root";
  spec.password_file = file;
  const auto roots = etcd::make_client(spec, client.clock());  // before the password goes anywhere
  if (!roots) return tl::unexpected(roots.error());
  if (auto enabled = admin.enable_auth(*password); !enabled) return enabled;
  // Whoever turned it on and cannot get in any more is to know at once.
  const auto in = etcd::Admin(**roots, [](const std::string&) {}).has_user("root");
  if (!in) return within("authentication is on, and root does not get in", in.error());
  return {};
}

Outcome source_init(Context& context, const InitOptions& options) {
  if (const std::string wrong = mistake(options); !wrong.empty()) return usage(context, wrong);
  const auto spec = cluster(options);
  if (!spec) return tl::unexpected(spec.error());
  const bool somebody = !options.host.empty() || !options.approver.empty() || !options.asker.empty();
  const auto account = somebody ? account_of(*spec, options) : etcd::Account{};
  if (!account) return tl::unexpected(account.error());
  static const SystemClock clock;
  const auto client = etcd::make_client(*spec, clock);
  if (!client) return tl::unexpected(client.error());

  Told told(context);
  etcd::Admin admin(**client, [&](const std::string& line) { told.line(line); });
  if (somebody) {
    const auto done =
        options.remove ? remove_account(admin, *account, told) : make_account(admin, *account, options, told);
    if (!done) return tl::unexpected(done.error());
  }
  if (options.enable_auth) {
    if (auto enabled = enable_auth(**client, options, told); !enabled) return tl::unexpected(enabled.error());
  }
  told.finish();
  return Exit::done;
}

}  // namespace

void add_source_init(Commands& commands, Command* source) {
  auto options = std::make_shared<InitOptions>();
  auto& context = commands.context();
  auto* command = commands.add_below(source, "init", "Make users, roles and permissions in an etcd cluster",
                                     [&context, options] { return source_init(context, *options); });
  command->add_option("url", options->url, "The cluster and the prefix of its keys")
      ->required()
      ->type_name("etcd+https://HOST:PORT[,...]/PREFIX");
  command->add_option("--host", options->host, "A host, which reads what is for it and writes what it says")
      ->type_name("NAME");
  command->add_option("--segment", options->segments, "A segment of that host, or one that is asked")
      ->type_name("NAME");
  command->add_option("--approver", options->approver, "An approver, who writes to every host")->type_name("NAME");
  command->add_option("--asker", options->asker, "Somebody who asks hosts")->type_name("NAME");
  command->add_option("--on", options->on, "A host that may be asked")->type_name("HOST");
  command->add_option("-o,--output", options->out, "Where the new user's password goes")->type_name("FILE");
  command->add_flag("--new-password", options->new_password, "Give a user that is there another password");
  command->add_flag("--remove", options->remove, "Remove user and role");
  command->add_flag("--enable-auth", options->enable_auth, "Make root and turn on authentication");
  command->add_option("--admin", options->admin, "Who changes users (default: root)")->type_name("USER");
  command->add_option("--admin-password-file", options->admin_password_file, "The password of --admin")
      ->type_name("FILE");
  command->add_option("--ca", options->ca, "Who may sign the server's certificate")->type_name("FILE");
  command->add_option("--certificate", options->certificate, "Our certificate, without a CN")->type_name("FILE");
  command->add_option("--key", options->key, "Its key")->type_name("FILE");
}

}  // namespace jit::ctl
