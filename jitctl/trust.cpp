// jitctl trust: who may sign here. Edits /etc/jit/trust/*, or a person's own list of hosts.
#include <fmt/format.h>

#include "jitctl/app.hpp"
#include "jitctl/arguments.hpp"
#include "jitctl/delivered.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "jitctl/trust_edit.hpp"
#include "jitctl/trust_host.hpp"
#include "jitd/sys/files.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string what, principal, file = "approvers", valid_before, valid_after;
};

// approvers and requesters are the host's, root's to edit; hosts is the person's own unless root edits it.
Result<std::string> path_of(const Context& context, const std::string& file) {
  if (file.find('/') != std::string::npos) return file;
  if (file != "approvers" && file != "hosts" && file != "requesters") {
    return fail(Errc::invalid, fmt::format("--file {}: approvers, hosts or requesters, or a path", file));
  }
  if (file == "hosts" && context.uid != 0) {
    const auto own = own_config(context);
    if (own.empty())
      return fail(Errc::invalid, "no home directory for ~/.config/jit/hosts; name the file with --file");
    return own + "/hosts";
  }
  return context.places.etc_jit + "/trust/" + file;
}

std::string kind_of_file(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? file : file.substr(slash + 1);
}

// What lies below /etc/jit is root's; a file of one's own is not.
Result<void> may_edit(const Context& context, const std::string& path) {
  return path.starts_with(context.places.etc_jit + "/") ? need_root(context, "changing " + path) : Result<void>();
}

Outcome add(Context& context, const Options& options) {
  const auto path = path_of(context, options.file);
  if (!path) return tl::unexpected(path.error());
  if (auto may = may_edit(context, *path); !may) return tl::unexpected(may.error());
  auto key = read_public_key(options.what);
  if (!key) return tl::unexpected(key.error());
  TrustLine line;
  line.principal = options.principal;
  line.key = std::move(*key);
  line.namespaces = namespaces_of(kind_of_file(options.file));
  for (auto [text, time] :
       {std::pair{&options.valid_after, &line.valid_after}, std::pair{&options.valid_before, &line.valid_before}}) {
    if (text->empty()) continue;
    const auto read = parse_time(*text);
    if (!read) return tl::unexpected(read.error());
    *time = *read;
  }
  if (auto added = add_trust_line(*path, line); !added) return tl::unexpected(added.error());
  const auto print = fingerprint(line.key);
  if (context.json) {
    context.out << JsonObject().text("principal", line.principal).text("key", print).text("file", *path).str()
                << '\n';
  } else {
    context.out << fmt::format("{}: {} {}\n", shown(*path), shown(line.principal), print);
  }
  return Exit::done;
}

Outcome list(Context& context, const Options& options, bool file_named) {
  std::vector<std::string> files = {options.file};
  if (!file_named) files = {"approvers", "hosts", "requesters"};
  Table table({"FILE", "PRINCIPAL", "KEY", "TYPE", "VALID"});
  std::vector<std::string> objects;
  Exit worst = Exit::done;
  const auto now = context.now();
  for (const auto& name : files) {
    const auto path = path_of(context, name);
    if (!path) return tl::unexpected(path.error());
    // Of the host's own files any may be missing; a path that was named is there.
    const bool is_path = name.find('/') != std::string::npos;
    const auto file = is_path ? known_hosts(context, name) : read_trust(*path);
    if (!file) return tl::unexpected(file.error());
    for (const auto& line : file->lines) {
      const auto print = fingerprint(line.key);
      std::string valid = line.valid_at(now) ? "now" : "not now";
      if (line.valid_after) valid += ", from " + format_utc(*line.valid_after);
      if (line.valid_before) valid += ", before " + format_utc(*line.valid_before);
      table.add({*path, line.principal, print, std::string(key_type_name(line.key.type)), valid});
      objects.push_back(JsonObject()
                            .text("file", *path)
                            .number("line", line.line)
                            .text("principal", line.principal)
                            .text("key", print)
                            .text("type", key_type_name(line.key.type))
                            .texts("namespaces", line.namespaces)
                            .boolean("valid", line.valid_at(now))
                            .str());
    }
    for (const auto& bad : file->bad) {
      complain(context, bad.message);
      worst = Exit::failed;
    }
  }
  if (context.json) {
    context.out << json_list(objects) << '\n';
  } else if (table.empty()) {
    context.out << "Nobody is trusted here yet: jitctl trust add KEYFILE --principal NAME\n";
  } else {
    table.print(context.out);
  }
  return worst;
}

Outcome remove(Context& context, const Options& options) {
  const auto path = path_of(context, options.file);
  if (!path) return tl::unexpected(path.error());
  if (auto may = may_edit(context, *path); !may) return tl::unexpected(may.error());
  const auto text = read_file(*path, kMaxTrustFile);
  if (!text) return tl::unexpected(text.error());
  const auto removed = without_trust_lines(*path, *text, options.what);
  if (!removed) return tl::unexpected(removed.error());
  if (auto written = write_trust(*path, removed->text); !written) return tl::unexpected(written.error());
  if (context.json) {
    context.out << JsonObject().text("file", *path).number("removed", removed->lines).str() << '\n';
  } else {
    context.out << fmt::format("{}: {} line{} removed\n", shown(*path), removed->lines,
                               removed->lines == 1 ? "" : "s");
  }
  return Exit::done;
}

}  // namespace

void add_trust(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* family = commands.add_family("trust", "Whose signatures count");
  const auto file_option = [options](Command& command) {
    return command
        .add_option("--file", options->file, "approvers, hosts, requesters, or a path (default: approvers)")
        ->type_name("NAME");
  };
  auto* adds =
      commands.add_below(family, "add", "Trust a public key", [&context, options] { return add(context, *options); });
  adds->add_option("key", options->what, "A .pub file, or the key itself")->required()->type_name("FILE|KEY");
  adds->add_option("--principal", options->principal, "Whose it is: a name of [people], a user, or a host")
      ->required()
      ->type_name("NAME");
  file_option(*adds);
  adds->add_option("--valid-before", options->valid_before, "Until when it counts")
      ->check(time_problem)
      ->type_name("TIME");
  adds->add_option("--valid-after", options->valid_after, "From when it counts")
      ->check(time_problem)
      ->type_name("TIME");
  auto host = std::make_shared<HostOptions>();
  auto* hosts = commands.add_below(family, "add-host", "Know a host by the line that 'jitctl enrol' printed there",
                                   [&context, host] { return trust_hosts(context, *host); });
  hosts->add_option("line", host->what, "The line, a file of such lines, - for standard input")
      ->required()
      ->type_name("LINE|FILE|-");
  hosts->add_flag("--replace", host->replace, "A host that is known by another key has this one now");
  hosts
      ->add_option(
          "--file", host->file,
          "Trust file (default: ~/.config/jit/hosts, of root /etc/jit/trust/hosts, or as approver.toml says)")
      ->type_name("FILE");
  auto named = std::make_shared<Option*>(nullptr);
  auto* lists = commands.add_below(family, "list", "Keys that are trusted here",
                                   [&context, options, named] { return list(context, *options, (*named)->given()); });
  *named = file_option(*lists);
  auto* removes = commands.add_below(family, "remove", "Trust a key or a principal no more",
                                     [&context, options] { return remove(context, *options); });
  removes->add_option("which", options->what, "Principal, or fingerprint (SHA256:...)")
      ->required()
      ->type_name("NAME|SHA256:...");
  file_option(*removes);
  add_trust_sign(commands, family);
}

}  // namespace jit::ctl
